// The credentials of the API: the tokens, and the sessions of browsers that they began.

import { call, type ReadOptions } from "../../api/client";
import { age } from "../../parts/age";
import type { Act } from "../../parts/changes";
import { QuestionButton } from "../../parts/question";
import { useLiveValue } from "../../parts/live_value";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { session } from "../../session";

async function read(options: ReadOptions) {
  const [tokens, sessions] = await Promise.all([call("get", "/api/tokens", options), call("get", "/api/sessions", options)]);
  return { tokens: tokens.data, sessions: sessions.data };
}

export function Access({ act }: { act: Act }) {
  const { value, error, refresh } = useLiveValue(read);
  const change = async (work: () => Promise<string>) => {
    await act(work);
    await refresh();
  };
  const revoke = (name: string) =>
    change(async () => {
      await call("delete", "/api/tokens/{name}", { id: name });
      return `The token ${name} is revoked.`;
    });
  const end = (id: string, token: string) =>
    change(async () => {
      await call("delete", "/api/sessions/{id}", { id });
      return `A session of ${token} is ended.`;
    });
  return (
    <>
      <h2>Tokens and sessions</h2>
      {error !== "" && <p role="alert">{error}</p>}
      {value?.tokens.length === 0 && (
        <p>
          The database has no token: this session began with the one of the environment.{" "}
          <code>hookmill token create --scope read</code> makes one.
        </p>
      )}
      {value && value.tokens.length > 0 && (
        <Table label="Table of tokens" caption="Tokens" columns={["Name", "Scope", "Created", "Expires", "Actions"]}>
          {value.tokens.map(({ name, scope, created_at, expires_at }) => (
            <tr key={name}>
              <th scope="row">
                <PlainText text={name} />
              </th>
              <td>{scope}</td>
              <td>
                <Time at={created_at} />
              </td>
              <td>{expires_at === null ? "never" : <Time at={expires_at} />}</td>
              <td>
                <QuestionButton
                  label="Revoke"
                  about={name}
                  title={`Revoke the token ${name}?`}
                  yes="Revoke"
                  agreed={() => void revoke(name)}
                >
                  <p>
                    Programs that use it, and its sessions, are refused from now on.
                    {name === session.value?.token && " This is the token of your session, which ends too."}
                  </p>
                </QuestionButton>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {value && (
        <Table label="Table of sessions" caption="Sessions of browsers" columns={["Token", "Began", "Used", "Ends", "Actions"]}>
          {value.sessions.map(({ id, own, token, created_at, used_at, expires_at }) => (
            <tr key={id}>
              <th scope="row">
                <PlainText text={token} />
                {own && " (this browser)"}
              </th>
              <td>
                <Time at={created_at} />
              </td>
              <td>{age(used_at)} ago</td>
              <td>
                <Time at={expires_at} />
              </td>
              <td>
                <QuestionButton
                  label="End"
                  about={`session of ${token}`}
                  title={`End this session of ${token}?`}
                  yes="End"
                  agreed={() => void end(id, token)}
                >
                  <p>{own ? "This is your own session: you" : "Its user"} would have to sign in again.</p>
                </QuestionButton>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
