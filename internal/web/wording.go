// SPDX-License-Identifier: Apache-2.0

package web

// Text returns the text that a key stands for in a language; what is no key is a text already and comes back as it is. The
// locale may be a ui_locales list.
func (r *Renderer) Text(locale, key string) string {
	if text, ok := r.locales.texts[r.Locale(locale, "")][key]; ok {
		return text
	}
	return key
}
