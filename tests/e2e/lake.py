"""What FrozenLake must say: gymnasium's maps of three seeds, and the policy that tells them apart."""

# gymnasium.envs.toy_text.frozen_lake.generate_random_map(size=4, p=0.8, seed=seed)
MAPS = {
    42: "SFHF FHFF FFFH FHFG",
    123: "SFFF FHHF HHFF HFFG",
    456: "SFFF HFFF FHFF FFFG",
}

# Dies on move 2 for seed 42, wins on move 6 for the other two.
MOVES = ["RIGHT", "RIGHT", "RIGHT", "DOWN", "DOWN", "DOWN"]
