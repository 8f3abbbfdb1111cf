"use strict";
const run = document.body.dataset.run;
const live = document.getElementById("live");
const actions = document.getElementById("actions");
const answer = document.getElementById("answer");

// The token comes in the fragment of the address that the dashboard printed; fragments are not sent to any server.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}

function allow() {
  if (!actions) return;
  actions.hidden = !sessionStorage.getItem("token");
  const state = live.querySelector("section").dataset;
  actions.querySelector("[data-action=stop]").disabled = state.canStop !== "true";
  actions.querySelector("[data-action=resume]").disabled = state.canResume !== "true";
}

if (run) {
  const stream = new EventSource("/run/" + encodeURIComponent(run) + "/live");
  stream.onmessage = (event) => {
    live.innerHTML = event.data;
    allow();
  };
  if (actions) {
    actions.addEventListener("click", async (event) => {
      const action = event.target.dataset.action;
      if (!action) return;
      const reply = await fetch("/run/" + encodeURIComponent(run) + "/" + action, {
        method: "POST",
        headers: { Authorization: "Bearer " + sessionStorage.getItem("token") },
      });
      const body = await reply.json();
      answer.textContent = reply.ok ? "asked to " + action : body.error;
    });
  }
  allow();
}
