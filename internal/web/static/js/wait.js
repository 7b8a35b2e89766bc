// SPDX-License-Identifier: Apache-2.0
// The page that waits for a phone asks whether there is news, and is fetched anew when there is. It works without this.
(function () {
  "use strict";

  var element = document.getElementById("wait");
  var failures = 0;
  var leaving = false;

  // Whoever has pressed a button is on the way already: news about what that changes must not lead elsewhere.
  document.addEventListener("submit", function () { leaving = true; });
  window.addEventListener("pageshow", function () { leaving = false; });

  function later(seconds) {
    setTimeout(watch, seconds * 1000);
  }

  // A server that is busy, or away for a reload, is asked again, each time a little later.
  function failed() {
    failures = Math.min(failures + 1, 6);
    later(2 * failures);
  }

  function watch() {
    fetch(element.dataset.watch, { credentials: "same-origin", cache: "no-store", redirect: "error" }).then(function (response) {
      if (!response.ok) {
        throw new Error("no news");
      }
      return response.json();
    }).then(function (news) {
      failures = 0;
      if (news.changed && !leaving) {
        location.replace(element.dataset.self);
      } else {
        later(0.5);
      }
    }).catch(failed);
  }

  if (element) {
    watch();
  }
})();
