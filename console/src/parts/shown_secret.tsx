// A secret that the host shows only once. The page asks before it is lost, until the user has it or it is in use.

import { useSignal } from "@preact/signals";
import { useUnsaved } from "../router";
import { Copyable } from "./copy";

interface Props {
  secret: string;
  // Whether the sender has used the secret.
  isUsed: boolean;
}

export function ShownSecret({ secret, isUsed }: Props) {
  const isKept = useSignal(false);
  useUnsaved(!isKept.value && !isUsed, "The secret is shown only here and now, and is not copied yet.");
  return (
    <>
      <Copyable label="Secret" text={secret} copied={() => (isKept.value = true)} />
      <p>
        <label>
          <input type="checkbox" checked={isKept.value} onChange={(event) => (isKept.value = event.currentTarget.checked)} /> I have the
          secret
        </label>
      </p>
    </>
  );
}
