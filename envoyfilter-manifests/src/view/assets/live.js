// Reads the page again and again and takes over what is in <main>; without scripts the page still works, and stands still.
"use strict";
const main = document.getElementById("live");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const every = Number(document.body.dataset.every || 2) * 1000;
let paused = false;
let reading = false;

function scrolled() {
  return [...main.querySelectorAll(".picture, .tables, .namespaces")].map((part) => [part.scrollLeft, part.scrollTop]);
}

// What has the focus keeps it: by its place among all links.
function focused() {
  return [...main.querySelectorAll("a, [tabindex]")].indexOf(document.activeElement);
}

async function read() {
  if (paused || reading || document.hidden) return;
  reading = true;
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    if (!response.ok) throw new Error(response.status);
    const next = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("live");
    if (paused) return;
    const [places, focus] = [scrolled(), focused()];
    main.replaceChildren(...document.adoptNode(next).childNodes);
    main.querySelectorAll(".picture, .tables, .namespaces").forEach((part, at) => {
      if (places[at]) [part.scrollLeft, part.scrollTop] = places[at];
    });
    if (focus >= 0) main.querySelectorAll("a, [tabindex]")[focus]?.focus({ preventScroll: true });
    if (state.textContent) state.textContent = "";
  } catch {
    state.textContent = "not connected: mixerless view has ended, or cannot be reached";
  } finally {
    reading = false;
  }
}

// A graph that does not fit begins at a workload, or else at its left.
main.querySelectorAll(".picture").forEach((part) => {
  const places = [...part.querySelectorAll(".node")].map((node) => [node, node.getBoundingClientRect()]);
  const left = places.sort((a, b) => a[1].left - b[1].left);
  const [, first] = left.find(([node]) => node.classList.contains("workload")) ?? left[0] ?? [];
  if (!first) return;
  const box = part.getBoundingClientRect();
  part.scrollLeft = first.left - box.left - 40;
  part.scrollTop = first.top - box.top - box.height / 2;
});
pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) read();
});
setInterval(read, every);
