// What the packages of npm make of a payload: `node … FUNCTION JSON` prints the result as JSON.

import { sign } from "@octokit/webhooks-methods";
import cards from "adaptivecards/dist/adaptivecards.js";
import { Webhook } from "standardwebhooks";

const functions = {
  // What is wrong with an Adaptive Card.
  problems: ({ card }) => {
    const context = new cards.SerializationContext();
    const parsed = new cards.AdaptiveCard();
    parsed.parse(card, context);
    const events = Array.from({ length: context.eventCount }, (_, index) => context.getEventAt(index));
    return events.concat(parsed.validateProperties().validationEvents).map((event) => event.message);
  },
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
