// Comfort only: every page works without this.
"use strict";

// Empty filters stay out of the address.
for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) {
      if (field.name && !field.value) field.disabled = true;
    }
  });
  addEventListener("pageshow", () => {
    for (const field of form.elements) field.disabled = false;
  });
}

// A scanner types wherever the focus is: bring it back to the one input.
for (const form of document.querySelectorAll("form[data-refocus]")) {
  const input = form.querySelector("input");
  const focus = () => input.focus({ preventScroll: true });
  addEventListener("pageshow", focus);
  addEventListener("focus", focus);
  document.addEventListener("keydown", (event) => {
    const plain = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (plain && document.activeElement !== input) focus();
  });
}
