// SPDX-License-Identifier: Apache-2.0
// Everything here is a convenience: each page works without it.
(function () {
  "use strict";

  // Show and hide a password.
  document.querySelectorAll("input[data-show]").forEach(function (input) {
    var button = document.createElement("button");
    function draw() {
      var hidden = input.type === "password";
      button.textContent = hidden ? input.dataset.show : input.dataset.hide;
      button.setAttribute("aria-label", hidden ? input.dataset.showLabel : input.dataset.hideLabel);
    }
    button.type = "button";
    button.className = "reveal";
    button.setAttribute("aria-controls", input.id);
    button.addEventListener("click", function () {
      input.type = input.type === "password" ? "text" : "password";
      draw();
      input.focus();
    });
    // A field that is sent as text would be remembered as text.
    input.form.addEventListener("submit", function () {
      input.type = "password";
      draw();
    });
    draw();
    input.parentNode.appendChild(button);
    input.parentNode.classList.add("revealing");
  });

  // A second press of a button while the first is on its way does nothing.
  var sent = null;
  document.addEventListener("submit", function (event) {
    var now = Date.now();
    if (sent !== null && now - sent < 8000) {
      event.preventDefault();
      return;
    }
    sent = now;
    document.documentElement.classList.add("sending");
  });
  window.addEventListener("pageshow", function () {
    sent = null;
    document.documentElement.classList.remove("sending");
  });

  // Times in the reader's own zone and, within the language of the page, the reader's own habits.
  var lang = document.documentElement.lang;
  var habit = (navigator.languages || []).find(function (l) { return l.split("-")[0] === lang; }) || lang;
  document.querySelectorAll("time[datetime]").forEach(function (element) {
    var at = new Date(element.dateTime);
    if (!isNaN(at)) {
      element.textContent = at.toLocaleString(habit, { dateStyle: "long", timeStyle: "short" });
    }
  });
})();
