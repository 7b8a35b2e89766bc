// SPDX-License-Identifier: Apache-2.0

package option

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Places remembers where the options of a block stand, so that what turns out to be wrong when all of them are known has a
// file and a line as well. The zero value is ready.
type Places struct {
	block   caddyfile.Token
	options map[string]caddyfile.Token
}

// begin remembers where the block stands.
func (p *Places) begin(d *caddyfile.Dispenser) {
	p.block, p.options = d.Token(), map[string]caddyfile.Token{}
}

// mark remembers an option that the dispenser stands on, by its name and by its name with its first argument. By its name
// alone it is found only if it stands once.
func (p *Places) mark(d *caddyfile.Dispenser, again bool) {
	at, ahead := d.Token(), *d
	p.options[at.Text] = at
	if again {
		delete(p.options, at.Text)
	}
	if ahead.NextArg() {
		p.options[at.Text+" "+strconv.Quote(ahead.Val())] = at
	}
}

// Wrap adds to an error the file and line of the option that it is about, or else those of the block. By the house's custom an
// error begins with the option as it is written, and where there may be several with its first argument in quotes:
//
//	user_identity names the realm "nobody", which is not defined
//	client "portal": unknown grant "password"
func (p *Places) Wrap(err error) error {
	at, length := p.block, 0
	for option, token := range p.options {
		if len(option) > length && begins(err.Error(), option) {
			at, length = token, len(option)
		}
	}
	d := caddyfile.NewDispenser([]caddyfile.Token{at})
	d.Next()
	return d.WrapErr(err)
}

// begins reports whether a text begins with the words of an option, which a message may write without its underscores.
func begins(text, option string) bool {
	words := strings.NewReplacer("_", " ")
	rest, ok := strings.CutPrefix(words.Replace(text), words.Replace(option))
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == ':')
}
