// Calls npm packages: `node … FUNCTION JSON` prints the result of a function as JSON.

import { sign } from "@octokit/webhooks-methods";
import cards from "adaptivecards/dist/adaptivecards.js";
import { EventSource } from "eventsource";
import { Webhook } from "standardwebhooks";

const functions = {
  // Returns the errors of an Adaptive Card.
  problems: ({ card }) => {
    const context = new cards.SerializationContext();
    const parsed = new cards.AdaptiveCard();
    parsed.parse(card, context);
    const events = Array.from({ length: context.eventCount }, (_, index) => context.getEventAt(index));
    return events.concat(parsed.validateProperties().validationEvents).map((event) => event.message);
  },
  // Follows the stream across interruptions until it has this many entries.
  follow: ({ url, token, count }) =>
    new Promise((resolve) => {
      const headers = { authorization: `Bearer ${token}` };
      const authorized = (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } });
      const stream = new EventSource(url, { fetch: authorized });
      const events = [];
      const take = ({ type, lastEventId, data }) => {
        events.push({ type, id: lastEventId, entry: JSON.parse(data) });
        if (events.length < count) return;
        stream.close();
        resolve(events);
      };
      for (const type of ["create", "update", "delete"]) stream.addEventListener(type, take);
    }),
  github: ({ secret, body }) => sign(secret, body),
  standardWebhooks: ({ secret, id, at, body }) => new Webhook(secret).sign(id, new Date(at * 1000), body),
  verifies: ({ secret, headers, body }) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch (error) {
      if (error.constructor.name === "WebhookVerificationError") return false;
      throw error;
    }
  },
};

const [name, argument] = process.argv.slice(-2);
console.log(JSON.stringify(await functions[name](JSON.parse(argument))));
