// What was sent on the streams of one session, for clients that come back with Last-Event-ID.
export class EventStore {
  #events = []; // { id, streamId, message }, in the order in which they were sent

  async storeEvent(streamId, message) {
    const id = `${streamId}_${this.#events.length}`;
    this.#events.push({ id, streamId, message });
    return id;
  }

  async getStreamIdForEventId(id) {
    return this.#events.find((event) => event.id === id)?.streamId;
  }

  async replayEventsAfter(lastId, { send }) {
    const last = this.#events.findIndex((event) => event.id === lastId);
    if (last < 0) throw new Error("no such event");
    const { streamId } = this.#events[last];
    for (const event of this.#events.slice(last + 1)) {
      // An event without a message is the priming one.
      if (event.streamId === streamId && Object.keys(event.message).length > 0) await send(event.id, event.message);
    }
    return streamId;
  }
}
