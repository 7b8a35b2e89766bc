// SPDX-License-Identifier: Apache-2.0
// A parameter named "submit" would hide the form's own method, so it is taken from the prototype.
HTMLFormElement.prototype.submit.call(document.getElementById("formpost"));
