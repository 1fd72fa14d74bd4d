// The URL at which vendors reach the host: `public_url` of the configuration, else the address of this page, which may differ
// from it behind a proxy.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call } from "../api/client";

export interface HostUrl {
  url: string;
  isConfigured: boolean;
}

const OWN: HostUrl = { url: window.location.origin, isConfigured: false };

// Returns null until the URL is known.
export function useHostUrl(): HostUrl | null {
  const known = useSignal<HostUrl | null>(null);
  useEffect(() => {
    call("get", "/api/overview", { isPoll: true }).then(
      ({ public_url }) => (known.value = public_url === null ? OWN : { url: public_url, isConfigured: true }),
      () => (known.value = OWN),
    );
  }, []);
  return known.value;
}
