// SPDX-License-Identifier: Apache-2.0
// Everything that is shown here was said: no answer stands in this file. What was said is kept for this tab, so that it is still here
// after a login has led through other pages.
(function () {
  "use strict";

  const phone = "./gatehouse device";
  const file = "--file alice.json";
  const payment = '{"amount": 500, "currency": "EUR", "creditor": "Bob"}';
  const forged = '{"amount": 5000, "currency": "EUR", "creditor": "Bob"}';
  const shown = ["WWW-Authenticate", "Gatehouse-Operation", "Content-Type", "Retry-After"];
  const kept = "gatehouse-tour";

  const state = read();
  let waiting = null; // what ends the wait for the phone

  function read() {
    try {
      return Object.assign({ said: {}, operation: "" }, JSON.parse(sessionStorage.getItem(kept)));
    } catch {
      return { said: {}, operation: "" };
    }
  }
  function keep() {
    try {
      sessionStorage.setItem(kept, JSON.stringify(state));
    } catch {
      // Without storage the page forgets at the next login, and works.
    }
  }

  // forget takes away what somebody has done who is logged in no more: whoever logs in next may be somebody else.
  function forget() {
    const ids = Object.keys(state.said);
    state.said = {};
    state.operation = "";
    keep();
    ids.forEach(draw);
  }

  const step = (id) => document.getElementById(id);
  const news = (text) => { document.getElementById("news").textContent = text; };
  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  // One message: the first line, the fields of the header, the body.
  function message(first, className, m) {
    const pre = element("pre");
    pre.tabIndex = 0; // it may have to be scrolled by keyboard
    pre.append(element("span", first, className));
    for (const f of m.header) pre.append("\n", element("span", f.name + ": ", "field"), f.value);
    if (m.body) pre.append("\n\n", pretty(m.body));
    return pre;
  }

  function draw(id) {
    const to = step(id).querySelector(".exchanges");
    to.replaceChildren();
    for (const e of state.said[id] || []) {
      const box = element("section", undefined, "exchange");
      box.append(element("h3", e.party + " → " + new URL(e.url, location.href).host));
      const at = new URL(e.url, location.href);
      box.append(message(e.method + " " + at.pathname + at.search, "", e.sent));
      box.append(message(e.status, Number.parseInt(e.status, 10) < 400 ? "passed" : "refused", e.got));
      to.append(box);
    }
  }

  function say(id, exchanges, more) {
    state.said[id] = more ? (state.said[id] || []).concat(exchanges) : exchanges;
    keep();
    draw(id);
  }

  // ask sends a request with this browser's session, and notes what was said.
  async function ask(method, path, header, body, signal) {
    const sent = Object.assign({ Accept: "application/json" }, body ? { "Content-Type": "application/json" } : {}, header);
    const answer = await fetch(path, { method: method, headers: sent, body: body, cache: "no-store", redirect: "manual", signal: signal });
    const text = await answer.text();
    const fields = (names, get) => names.map((n) => ({ name: n, value: get(n) })).filter((f) => f.value);
    let json = {};
    try {
      json = JSON.parse(text);
    } catch {
      // What is no JSON is shown as it is.
    }
    return {
      status: answer.status, json: json, exchange: {
        party: "This page", method: method, url: answer.url || path,
        sent: { header: Object.keys(sent).map((n) => ({ name: n, value: sent[n] })), body: body || "" },
        status: (answer.status + " " + answer.statusText).trim(),
        got: { header: fields(shown, (n) => answer.headers.get(n)), body: text },
      },
    };
  }

  // Commands stand beside the step, each with what it is for and a button that copies it.
  function commands(id, list) {
    const aside = step(id).querySelector(".device");
    const to = aside.querySelector(".commands");
    to.replaceChildren();
    for (const c of list) {
      const box = element("div", undefined, "command");
      const code = element("code", c.text);
      code.tabIndex = 0;
      const button = element("button", "Copy");
      button.type = "button";
      button.setAttribute("aria-label", "Copy the command: " + c.what);
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(c.text);
          news("Copied.");
        } catch {
          getSelection().selectAllChildren(code);
          news("The command is selected: copy it with the keyboard.");
        }
      });
      box.append(element("p", c.what), code, button);
      to.append(box);
    }
    aside.hidden = false;
  }

  const answers = (number) => [
    { what: "Approve: it asks for your PIN" + (number ? "." : " and the number."), text: phone + " approve " + file + (number ? " --number " + number : "") },
    { what: "Say no.", text: phone + " deny " + file },
    { what: "It was not you who began. Then nobody asks again for a while.", text: phone + " deny " + file + " --reason not_me" },
  ];

  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

  // helped asks the site's own back end to speak to the authorization server. What it said is shown, and not what this page asked of it.
  async function helped(id, method, path, body) {
    const r = await ask(method, path, {}, body);
    if (r.status === 401) {
      say(id, [r.exchange]);
      news("Log in first: step 1.");
      return null;
    }
    if (!Array.isArray(r.json.exchanges)) throw new Error("the site answered " + r.status);
    // The invitation registers a phone for whoever has it: it is not kept.
    say(id, r.json.exchanges);
    if (r.json.problem) {
      news("It did not work: " + r.json.problem);
      return null;
    }
    return r.json;
  }

  const does = {
    async ask() {
      const r = await ask("GET", "/accounts");
      if (r.status === 401) forget();
      say("login", [r.exchange]);
      news(r.status === 401 ? "401: the gate wants to know who asks. Log in." : "You are logged in already. Go on with step 2.");
    },

    async call() {
      const r = await ask("GET", "/accounts");
      say("call", [r.exchange]);
      news(r.status === 200 ? "200: the gate let it pass, and told the bank who you are." : r.status + ": log in first, step 1.");
    },

    async invite() {
      const found = await helped("phone", "GET", "/tour/phones");
      if (!found) return;
      const looked = state.said.phone;
      const begun = await helped("phone", "POST", "/tour/phones", "{}");
      say("phone", looked.concat(state.said.phone));
      if (!begun) return;
      const form = step("phone").querySelector("form");
      form.hidden = false;
      form.dataset.operation = begun.operation;
      commands("phone", [{ what: "Scan: it asks for a new PIN, and shows six digits.", text: phone + " enroll --application demo-bank " + file + " " + quoted(begun.invitation) }]);
      news((found.phones ? "You have a phone already, and may go on with step 4. For another one: the" : "The") +
        " invitation is ready. Type the command, then bring the six digits.");
    },

    async vault() {
      const r = await ask("GET", "/vault");
      say("vault", [r.exchange]);
      news(r.status === 200 ? "200: the vault is open." : r.status + ": a password alone does not open it. Open it with the phone.");
    },

    async pay() {
      if (waiting) waiting.abort();
      waiting = null;
      const r = await ask("POST", "/transfers", {}, payment);
      say("pay", [r.exchange]);
      state.operation = r.json.operation || "";
      keep();
      if (r.json.code !== "confirmation_required") {
        news(r.status + ": " + (r.json.detail || (r.status === 401 ? "log in first, step 1." : "refused.")));
        return;
      }
      const number = step("pay").querySelector(".number");
      number.querySelector("strong").textContent = r.json.number || "";
      number.hidden = !r.json.number;
      commands("pay", answers(r.json.number));
      news("The gate holds the payment back, and asks your phone" + (r.json.number ? ". The number is " + r.json.number : "") + ".");
      follow(r);
    },

    async change() {
      await repeated("change", forged, false, "is not what you approved: refused.");
    },

    async repeat() {
      await repeated("repeat", payment, true, "passed: the bank has it.");
    },

    async receipt() {
      if (!state.operation) return news("Confirm a payment first: step 5.");
      const told = await helped("receipt", "GET", "/tour/receipts/" + encodeURIComponent(state.operation));
      if (!told) return;
      if (!told.receipt) return news("There is no receipt: the payment was not approved.");
      const payload = told.receipt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      const says = new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.codePointAt(0)));
      step("receipt").querySelector(".exchanges").append(content(says));
      commands("receipt", [
        { what: "Save the receipt.", text: "echo " + quoted(told.receipt) + " > receipt.jwt" },
        { what: "Save the root keys of the server.", text: "./gatehouse receipt roots > roots.json" },
        { what: "Verify. It asks nobody.", text: "./gatehouse receipt verify receipt.jwt --roots roots.json" },
      ]);
      news("The receipt is here. Verify it yourself.");
    },

    leave() {
      if (waiting) waiting.abort();
    },

    forget() {
      if (waiting) waiting.abort();
      try {
        sessionStorage.removeItem(kept);
      } catch {
        // There was none.
      }
      location.reload();
    },
  };

  function content(text) {
    const box = element("section", undefined, "exchange");
    const pre = element("pre", pretty(text));
    pre.tabIndex = 0;
    box.append(element("h3", "What is signed in it"), pre);
    return box;
  }

  async function repeated(id, body, more, good) {
    if (!state.operation) return news("Confirm a payment first: step 5.");
    const r = await ask("POST", "/transfers", { "Gatehouse-Operation": state.operation }, body);
    say(id, [r.exchange], more);
    const expected = id === "change" ? r.json.code === "confirmation_refused" : r.status === 200;
    news(r.status + ": " + (expected ? "this payment " + good : r.json.detail || "it did not pass."));
  }

  // follow waits until the phone has answered, and shows the last thing that was said about it.
  async function follow(asked) {
    const ended = new AbortController();
    waiting = ended;
    const told = {
      approved: "You approved. Within a minute: the changed payment, then the real one.", denied: "You said no. Nothing was paid; ask again.",
      expired: "Nobody answered in time. Ask again.", failed: "There were too many wrong answers. Ask again later.", cancelled: "The question was taken back.",
    };
    try {
      for (;;) {
        const r = await ask("GET", new URL(asked.json.status_url).pathname, { Prefer: "wait=25" }, undefined, ended.signal);
        if (waiting !== ended) return;
        say("pay", [asked.exchange, r.exchange]);
        if (r.status >= 400) return news(r.status + ": " + (r.json.detail || "the question is gone."));
        if (told[r.json.state]) return news(told[r.json.state]);
      }
    } catch {
      if (waiting === ended && !ended.signal.aborted) news("The gate was not reached. Is the server running?");
    } finally {
      if (waiting === ended) waiting = null;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-do]");
    if (!button || button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      await does[button.dataset.do]();
    } catch {
      news("The gate was not reached. Is the server running?");
    } finally {
      button.removeAttribute("aria-busy");
    }
  });

  step("phone").querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    try {
      const before = state.said.phone || [];
      const told = await helped("phone", "POST", "/tour/phones/" + encodeURIComponent(form.dataset.operation), JSON.stringify({ digits: form.digits.value }));
      say("phone", before.concat(state.said.phone || []));
      if (!told) return;
      news(told.confirmed ? "Your phone is registered." : "These are not the digits of that phone.");
      form.hidden = told.confirmed === true;
    } catch {
      news("The gate was not reached. Is the server running?");
    }
  });

  for (const id of Object.keys(state.said)) {
    if (step(id)) draw(id);
  }
  commands("vault", answers(""));
})();
