// What only a script can do: live regions, rows that unfold in place, a progress bar for uploads,
// and the viewer's time zone. Every page works without it.
"use strict";

// The server writes times in the zone this cookie names.
(function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;
  const value = "callcore_zone=" + encodeURIComponent(zone);
  if (!document.cookie.split("; ").includes(value)) {
    document.cookie = value + "; path=/; max-age=31536000; samesite=lax";
  }
})();

const say = (text) => {
  const status = document.getElementById("said");
  if (status && status.textContent !== text) status.textContent = text;
};

async function load(url) {
  const answer = await fetch(url, { headers: { "x-callcore-live": "1" }, credentials: "same-origin" });
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    location.reload();
    throw new Error("signed out");
  }
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// A page that answers a form stands at the form's address, where there is nothing to load.
const { at } = document.getElementById("main")?.dataset ?? {};
if (at) history.replaceState(null, "", at);

// Hidden until there is a script.
const reveal = (page) => page.querySelectorAll("[data-script]").forEach((it) => { it.hidden = false; });

// Live regions: what carries data-live and an id is replaced by what the same page says now.
const live = {
  busy: false, failures: 0, pointer: false,
  state(text, state) {
    const element = document.getElementById("live-state");
    if (!element) return;
    element.dataset.state = state;
    if (element.textContent !== text) element.textContent = text;
  },
  // Nothing moves under a person's hands.
  inUse(region) {
    if (this.pointer) return true;
    const focus = document.activeElement;
    if (focus && region.contains(focus) && focus.matches("input, select, textarea, audio")) return true;
    const selection = getSelection();
    if (selection && !selection.isCollapsed && region.contains(selection.anchorNode)) return true;
    if (region.dataset.touched || region.querySelector("details[open], [aria-expanded=true], td input:checked")) return true;
    return [...region.querySelectorAll("audio")].some((audio) => !audio.paused);
  },
  swap(page) {
    reveal(page);
    for (const old of document.querySelectorAll("[data-live][id]")) {
      const now = page.getElementById(old.id);
      if (!now || this.inUse(old) || old.innerHTML === now.innerHTML) continue;
      const focus = document.activeElement;
      const key = focus && old.contains(focus) ? focus.getAttribute("href") || focus.id || focus.getAttribute("formaction") : null;
      old.innerHTML = now.innerHTML;
      // A call that has ended says nothing new any more.
      if (!now.hasAttribute("data-live")) old.removeAttribute("data-live");
      if (key) {
        const back = [...old.querySelectorAll("a, button")].find((it) => (it.getAttribute("href") || it.id || it.getAttribute("formaction")) === key);
        if (back) back.focus({ preventScroll: true });
      }
    }
  },
  async turn() {
    if (this.busy || document.hidden || !document.querySelector("[data-live][id]")) return;
    this.busy = true;
    try {
      this.swap(await load(location.href));
      this.failures = 0;
      this.state("Live", "on");
    } catch (error) {
      this.failures += 1;
      if (this.failures > 1) this.state("Not updating: the server does not answer. Trying again.", "off");
    }
    this.busy = false;
  },
  start() {
    if (!document.querySelector("[data-live][id]")) return;
    addEventListener("pointerdown", () => { this.pointer = true; });
    for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => { this.pointer = false; });
    document.addEventListener("visibilitychange", () => this.turn());
    const next = () => setTimeout(() => this.turn().finally(next), Math.min(1500 * 2 ** this.failures, 15000));
    this.state("Live", "on");
    next();
  },
};

// Rows that unfold: the link leads to the call's own page; here its heart is shown under the row.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-unfold]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const row = link.closest("tr");
  if (link.getAttribute("aria-expanded") === "true") {
    link.removeAttribute("aria-expanded");
    if (row.nextElementSibling && row.nextElementSibling.classList.contains("unfolded")) row.nextElementSibling.remove();
    return;
  }
  link.setAttribute("aria-expanded", "true");
  try {
    const detail = (await load(link.href)).getElementById("call-detail");
    if (!detail || link.getAttribute("aria-expanded") !== "true") return;
    detail.removeAttribute("id");
    for (const back of detail.querySelectorAll("[name=back]")) back.value = location.pathname + location.search;
    const cell = document.createElement("td");
    cell.colSpan = row.cells.length;
    cell.append(document.adoptNode(detail));
    const below = document.createElement("tr");
    below.className = "unfolded";
    below.append(cell);
    row.after(below);
  } catch (error) {
    location.href = link.href;
  }
});

// Nobody's words are lost to an update.
document.addEventListener("input", (event) => {
  const region = event.target.closest("[data-live]");
  if (region && event.target.type !== "checkbox") region.dataset.touched = "1";
});
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-all]")) return;
  for (const box of event.target.closest("table").querySelectorAll("[name=id]")) box.checked = event.target.checked;
});

// Reviews in place, by button or key.
const act = document.getElementById("act");
async function review(row, status) {
  const link = row.querySelector("a[data-unfold]");
  const body = new URLSearchParams(new FormData(act));
  body.set("status", status);
  const answer = await fetch(link.href + "/review", { method: "POST", body }).catch(() => null);
  if (!answer?.ok || new URL(answer.url).pathname === "/sign-in") { location.href = link.href; return; }
  const done = status === "reviewed", [pill, button] = row.querySelectorAll(".review .pill, .review button");
  pill.textContent = done ? "reviewed" : "needs follow-up";
  pill.className = "pill " + (done ? "good" : "busy");
  for (const it of row.nextElementSibling?.querySelectorAll("td [aria-pressed]") ?? []) it.ariaPressed = it.value === status;
  if (done && button) { if (button === document.activeElement) link.focus(); button.remove(); }
  say(row.querySelector("bdi[id]").textContent + ": " + pill.textContent);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest(".review button");
  if (button) { event.preventDefault(); review(button.closest("tr"), button.value); }
});
document.addEventListener("keydown", (event) => {
  let row = event.target.closest("tbody tr");
  if (!row || !act || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea, audio")) return;
  if (row.matches(".unfolded")) row = row.previousElementSibling;
  const status = { r: "reviewed", f: "needs_follow_up" }[event.key];
  if (status && row.querySelector(".review")) review(row, status);
  const way = { j: "nextElementSibling", k: "previousElementSibling" }[event.key];
  if (way) do row = row[way]; while (row && row.matches(".unfolded"));
  if (way && row) row.querySelector("a").focus();
});

// A button is pressed once: a second press would only meet the first one's answer.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});

// Uploads: drop a file on the panel, and see how far it is.
function uploads() {
  for (const form of document.querySelectorAll("form[data-upload]")) {
    const input = form.querySelector("input[type=file]");
    const zone = form.querySelector(".drop");
    for (const kind of ["dragenter", "dragover"]) {
      zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
    }
    for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
    });
    form.addEventListener("submit", (event) => {
      if (!input.files.length) return;
      event.preventDefault();
      if (form.dataset.sending) return;
      form.dataset.sending = "1";
      const bar = form.querySelector("progress");
      const trouble = form.querySelector("[data-trouble]");
      const request = new XMLHttpRequest();
      const fail = (text) => {
        delete form.dataset.sending;
        bar.hidden = true;
        say("");
        trouble.textContent = text;
      };
      bar.hidden = false;
      trouble.textContent = "";
      request.open("POST", (event.submitter && event.submitter.getAttribute("formaction")) || form.action);
      request.responseType = "document";
      request.upload.addEventListener("progress", (sent) => {
        if (!sent.lengthComputable) return;
        bar.max = sent.total;
        bar.value = sent.loaded;
        const percent = Math.floor((sent.loaded * 100) / sent.total);
        say(percent < 100 ? "Sent " + percent + " %" : "Sent. The rows are being read.");
      });
      request.addEventListener("load", () => {
        const page = request.responseXML;
        const report = document.getElementById("check"), now = page && page.getElementById("check");
        if (request.status < 400 && !(report && now)) { location.href = request.responseURL; return; }
        if (report && now) report.replaceWith(now);
        if (request.status < 400) {
          // A list that was only looked at: its report comes, the form stays as it is.
          fail("");
          scrollTo(0, 0);
          say("Checked: nothing was changed.");
          return;
        }
        const again = page && page.querySelector("form[data-upload]");
        const told = page && page.querySelector("[role=alert]");
        if (!again) { fail(told ? told.textContent.trim() : "The server did not take the file."); return; }
        // The same form with what is wrong at its fields; the chosen file is not lost.
        document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
        document.querySelector("form[data-upload] input[type=file]").files = input.files;
        uploads();
        scrollTo(0, 0);
      });
      request.addEventListener("error", () => fail("The connection broke before the file was sent. Nothing came in; send it again."));
      request.send(new FormData(form, event.submitter));
    });
  }
}

reveal(document);
uploads();
// The strips of a week follow its times as they are typed; what runs past midnight is the next day's.
document.addEventListener("input", (event) => {
  if (!event.target.closest(".day-row")) return;
  const days = [...document.querySelectorAll(".day-row")];
  const open = days.map(() => []);
  days.forEach((day, index) => {
    const times = [...day.querySelectorAll("input")].map(({ value }) => value && value.slice(0, 2) * 60 + Number(value.slice(3, 5)));
    for (let at = 0; at < times.length; at += 2) {
      const [from, to] = [times[at], times[at + 1] === 0 ? 1440 : times[at + 1]];
      if (from === "" || to === "" || from === to) continue;
      open[index].push([from, (from < to ? to : 1440) - from]);
      if (from > to) open[(index + 1) % 7].push([0, to]);
    }
  });
  days.forEach((day, index) => {
    const strip = day.querySelector("svg");
    for (const old of strip.querySelectorAll(".f-good")) old.remove();
    for (const [from, length] of open[index]) {
      const rect = document.createElementNS(strip.namespaceURI, "rect");
      for (const [name, value] of Object.entries({ class: "f-good", x: from, width: length, height: 10 })) rect.setAttribute(name, value);
      strip.firstElementChild.after(rect);
    }
  });
});

live.start();
