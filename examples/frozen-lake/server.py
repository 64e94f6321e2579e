#!/usr/bin/env python3
"""The frozen lake as a real environment: gymnasium's FrozenLake-v1 behind FastMCP.

    server.py [--transport stdio|streamable-http] [--host H] [--port N] [--seed N] [--size N]

One process is one environment, whoever asks: give every client a process of its own (envmux does).
What a move shows (tool lake_move, game://initial_state) and what it earned (control://…) are kept
apart: the player sees the first, its trainer reads the second. Over HTTP the trainer can also ask
plainly, at /control/… beside /mcp, naming its session in the header mcp-session-id.
"""

import argparse
import json
import os
from typing import Literal, TypedDict

import gymnasium
from gymnasium.envs.toy_text.frozen_lake import generate_random_map
from mcp.server.fastmcp import FastMCP
from starlette.responses import JSONResponse

ACTIONS = ["LEFT", "DOWN", "RIGHT", "UP"]  # in the order of FrozenLake-v1's numbers


class Observation(TypedDict):
    position: int
    grid: str
    action: str


class Lake:
    """One episode at a time."""

    def __init__(self, seed, size):
        self.size = size
        self.reset(seed)

    def reset(self, seed):
        rows = generate_random_map(size=self.size, p=0.8, seed=seed)
        environment = gymnasium.make("FrozenLake-v1", desc=rows, is_slippery=False)
        position, info = environment.reset(seed=seed)
        self.environment, self.seed, self.grid = environment, seed, "\n".join(map(str, rows))
        self.position, self.prob = int(position), float(info["prob"])
        self.steps, self.reward, self.total_reward = 0, 0.0, 0.0
        self.terminated = self.truncated = False

    def move(self, action):
        if self.terminated or self.truncated:
            return
        position, reward, self.terminated, self.truncated, info = self.environment.step(ACTIONS.index(action))
        self.position, self.prob, self.reward = int(position), float(info["prob"]), float(reward)
        self.total_reward += self.reward
        self.steps += 1

    def initial_state(self):
        return {"position": 0, "grid": self.grid}

    def last_reward(self):
        return {"reward": self.reward, "step_count": self.steps}

    def status(self):
        return {"terminated": bool(self.terminated), "truncated": bool(self.truncated), "step_count": self.steps,
                "total_reward": self.total_reward}

    def info(self):
        return {"prob": self.prob, "seed": self.seed, "size": self.size}


def add_tools_and_resources(server, lake):
    @server.tool()
    def lake_move(action: Literal["LEFT", "DOWN", "RIGHT", "UP"]) -> Observation:
        """Take one step on the frozen lake. S is the start, F is safe ice, H is a hole, G is the goal.
        position counts the cells row by row from 0."""
        lake.move(action)
        return {"position": lake.position, "grid": lake.grid, "action": action}

    for uri, read in [("game://initial_state", lake.initial_state), ("control://reward", lake.last_reward),
                      ("control://status", lake.status), ("control://info", lake.info)]:
        add_resource(server, uri, read)


def add_resource(server, uri, read):
    @server.resource(uri, name=uri.split("://")[1], mime_type="application/json")
    def as_text() -> str:
        return json.dumps(read())


def add_control_routes(server, lake):
    def route(name, method):
        """Serves a function at /control/NAME, to whoever names a session."""
        def decorate(answer):
            async def endpoint(request):
                if "mcp-session-id" not in request.headers:
                    return JSONResponse({"error": "Missing mcp-session-id header"}, 400)
                return await answer(request)

            server.custom_route(f"/control/{name}", methods=[method])(endpoint)
        return decorate

    for name, read in [("initial_state", lake.initial_state), ("reward", lake.last_reward), ("status", lake.status),
                       ("info", lake.info)]:
        async def answer(request, read=read):
            return JSONResponse(read())

        route(name, "GET")(answer)

    @route("reset_session", "POST")
    async def reset_session(request):
        try:
            wishes = json.loads(await request.body() or b"{}")
            seed = wishes.get("seed")
            lake.reset(lake.seed if seed is None else seed)
        except Exception as error:  # whatever is wrong with the wish, the old episode goes on
            return JSONResponse({"error": str(error)}, 500)
        return JSONResponse({"message": "Session reset successfully"})


def number_or_nothing(text):
    """A template that has no value leaves its option empty."""
    return int(text) if text else None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", choices=["stdio", "streamable-http"], default="stdio")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", 8000), help="default: $PORT, else 8000")
    parser.add_argument("--seed", type=number_or_nothing, help="which lake; default: 0")
    parser.add_argument("--size", type=number_or_nothing, help="cells on each side; default: 4")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    lake = Lake(0 if arguments.seed is None else arguments.seed, 4 if arguments.size is None else arguments.size)
    server = FastMCP("frozen-lake", host=arguments.host, port=arguments.port, log_level="WARNING")
    add_tools_and_resources(server, lake)
    add_control_routes(server, lake)
    server.run(transport=arguments.transport)


if __name__ == "__main__":
    main()
