// SPDX-License-Identifier: Apache-2.0
// The page that waits for a phone asks how that stands, and sends the request again when the phone has answered. It works without this.
(function () {
  "use strict";

  var element = document.getElementById("confirm");
  var repeat = document.getElementById("repeat");
  var failures = 0;
  var leaving = false;

  // Whoever has pressed a button is on the way already.
  document.addEventListener("submit", function () { leaving = true; });
  window.addEventListener("pageshow", function () { leaving = false; });

  // A field of the form may be named as one of the form's own methods, so those are taken from the prototype.
  function again() {
    if (leaving) {
      return;
    }
    leaving = true;
    if (repeat instanceof HTMLFormElement) {
      HTMLFormElement.prototype.requestSubmit.call(repeat);
    } else {
      location.replace(repeat.href);
    }
  }

  function later(seconds) {
    setTimeout(watch, seconds * 1000);
  }

  function watch() {
    fetch(element.dataset.watch, {
      headers: { Accept: "application/json", Prefer: "wait=25" }, credentials: "same-origin", cache: "no-store", redirect: "error"
    }).then(function (response) {
      if (response.status === 401 || response.status === 404) {
        return null; // somebody else is logged in now, or nobody: the button says what that means
      }
      if (!response.ok) {
        throw new Error("no news");
      }
      return response.json();
    }).then(function (news) {
      failures = 0;
      if (news && (news.state === "pending" || news.state === "delivered")) {
        later(1);
      } else if (news) {
        again();
      }
    }).catch(function () {
      // A server that is busy, or away for a reload, is asked again, each time a little later.
      failures = Math.min(failures + 1, 6);
      later(2 * failures);
    });
  }

  if (element && repeat) {
    watch();
  }
})();
