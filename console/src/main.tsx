import { render } from "preact";
import { App } from "./app";
import { restoreSession } from "./session";

void restoreSession();
const root = document.getElementById("console");
if (root) render(<App />, root);
