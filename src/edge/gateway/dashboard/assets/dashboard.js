// Keeps a page up to date: gets it again every few seconds, and changes what differs in the elements marked `data-live`, text by
// text, so that focus, selection and scrolling stay. Pauses while nobody sees the page, and when asked to. Without it the page
// is the same, and is reloaded by hand.

const every = Number(document.body.dataset.every) * 1000;
/** After failures it asks less and less often, up to this. */
const SLOWEST_MS = 60_000;

/** Makes `from` equal to `to`, changing as little as can be. */
function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
    from.replaceWith(document.importNode(to, true));
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  for (const { name } of [...from.attributes]) {
    // Whether a reader has opened something is the reader's.
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  const [olds, news] = [[...from.childNodes], [...to.childNodes]];
  news.forEach((child, at) => (at < olds.length ? morph(olds[at], child) : from.append(document.importNode(child, true))));
  olds.slice(news.length).forEach((child) => child.remove());
}

/** Full local times for whoever points at "12 s ago". */
function localise(root) {
  for (const element of root.querySelectorAll("[data-at]")) {
    element.title = new Date(Number(element.dataset.at)).toLocaleString();
  }
}

class Updates {
  #timer;
  #asking;
  #failures = 0;
  #paused = false;
  #words = document.createElement("span");
  #button = document.createElement("button");

  constructor(place) {
    this.#button.type = "button";
    this.#button.className = "quiet";
    this.#button.addEventListener("click", () => this.#toggle());
    this.#words.setAttribute("role", "status");
    place.replaceChildren(this.#words, " ", this.#button);
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stop() : this.#resume()));
    this.#show("Live");
    this.#later();
  }

  #show(words) {
    // A status is read out when it changes, so it only says what changes seldom.
    if (this.#words.textContent !== words) this.#words.textContent = words;
    const action = this.#paused ? "Resume updates" : "Pause updates";
    if (this.#button.textContent !== action) this.#button.textContent = action;
  }

  #toggle() {
    this.#paused = !this.#paused;
    this.#show(this.#paused ? "Paused" : "Live");
    if (this.#paused) this.#stop();
    else this.#resume();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  #resume() {
    if (this.#paused || document.hidden) return;
    this.#stop();
    void this.#ask();
  }

  #later() {
    clearTimeout(this.#timer);
    if (this.#paused || document.hidden) return;
    this.#timer = setTimeout(() => void this.#ask(), Math.min(every * 2 ** this.#failures, SLOWEST_MS));
  }

  async #ask() {
    const asking = (this.#asking = new AbortController());
    try {
      // Not `location`: what a form has answered is not asked for again, only the page under it.
      const answer = await fetch(document.body.dataset.page, { signal: asking.signal, cache: "no-store", headers: { accept: "text/html" } });
      if (answer.status === 401) return this.#show("Signed out: reload the page to sign in");
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      this.#take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      this.#failures = 0;
      this.#show("Live");
    } catch {
      if (asking.signal.aborted) return;
      this.#failures++;
      this.#show("No answer from the Worker: these numbers are old");
    }
    this.#later();
  }

  #take(fresh) {
    for (const element of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(element.id);
      if (other) morph(element, other);
    }
    document.body.dataset.updates = Number(document.body.dataset.updates ?? 0) + 1;
    localise(document);
  }
}

localise(document);
const place = document.getElementById("freshness");
if (place && every > 0) new Updates(place);
