// SPDX-License-Identifier: Apache-2.0

// Package web owns the pages people see: templates, style sheet, scripts, translations and the headers that go with
// them. It knows nothing of logins or tokens. A caller fills one of the page structs with plain strings and hands it
// to [Renderer.Render]; what the buttons mean is in the names documented beside each page.
//
// What holds for every page:
//
//   - It is executed into a buffer first, so that a page is sent whole or not at all.
//   - It works without script. Scripts shorten waiting and reveal a password, nothing more.
//   - The content security policy allows no inline script and no inline style, and no frame may hold a page
//     (RFC 9700, section 4.16). Nothing is loaded from elsewhere and no referrer is sent (RFC 9700, section 4.2.4).
//   - A form posts to a path of this origin. Only [FormPostPage] posts elsewhere, to an http or https URI.
//   - Text comes from the catalogue of the reader's language. A string that is a key of the catalogue is translated,
//     any other string is shown as it stands, escaped.
//
// # Themes
//
// A theme is an [io/fs.FS] laid over the built-in files. It may hold any file of the built-in templates directory,
// under the same name (templates/layout.html, templates/parts/logo.html, templates/pages/login.html and so on), and
// css/theme.css, which follows the built-in style sheet and sets its variables again. Files of templates/login are login
// pages of its own, for the checks that name them; what such a page does not define is that of the common one. Any other
// file is an error. [New] renders every page in every language with sample data and refuses a theme that does not render,
// that drops a form, a field, a button, a message or a notice, or that holds what the content security policy would block.
package web
