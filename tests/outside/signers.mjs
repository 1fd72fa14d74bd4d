// What the packages of npm make of a payload: `node … FUNCTION JSON` prints the result as JSON.

import { sign } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";

const functions = {
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
