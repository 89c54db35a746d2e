/** Asking for the gateway's token. It is tried before it is kept, and kept for this tab alone. */

import { api, setToken, token } from "./api.js";
import { h } from "./dom.js";

let open = null;

/** Ask until a token is accepted; resolves then. Asked twice, it is still one dialog. */
export function login() {
  open ??= ask().finally(() => (open = null));
  return open;
}

function ask() {
  const dialog = document.getElementById("login");
  const input = h("input", { type: "password", name: "token", required: true, autocomplete: "current-password", id: "login-token", spellcheck: "false" });
  const problem = h("p", { class: "login-problem", role: "alert", text: token() ? "The token is not accepted any more." : "" });
  const button = h("button", { type: "submit", class: "button primary", text: "Sign in" });
  setToken(null);
  return new Promise((resolve) => {
    const form = h("form", {
      on: {
        submit: async (event) => {
          event.preventDefault();
          button.disabled = true;
          problem.textContent = "";
          setToken(input.value.trim());
          try {
            await api.targets();
            dialog.close();
            resolve();
          } catch (error) {
            setToken(null);
            problem.textContent = error.status === 401 ? "This token is not the gateway's." : `It could not be tried: ${error.message}.`;
            input.select();
          }
          button.disabled = false;
        },
      },
    },
    h("img", { src: "img/mark.svg", alt: "", width: 40, height: 40 }),
    h("h2", { id: "login-title", text: "Sign in to Probestream" }),
    h("p", {}, "This gateway asks for its token: the value of ", h("code", { text: "gateway.token" }), " in its configuration."),
    h("label", { for: "login-token", text: "Token" }), input, problem, button);
    dialog.replaceChildren(form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    if (!dialog.open) dialog.showModal();
    input.focus();
  });
}
