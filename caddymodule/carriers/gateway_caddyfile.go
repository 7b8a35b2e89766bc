// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// UnmarshalCaddyfile reads:
//
//	http {
//		url             <url>
//		method          POST|PUT|GET
//		header          <field> <value>
//		format          json|form|none
//		body            <template>
//		exposed
//		from            <sender>
//		number          e164|digits|zeros
//		basic_auth      <user> <password>
//		bearer          <token>
//		api_key         <field> <key>
//		hmac            { ... }
//		answers         { ... }
//		receipts        { ... }
//		status_callback <url>
//		proxy           <url>
//		ca_file         <path>
//		time_out        <duration>
//		places          <number>
//	}
func (m *Gateway) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{
		Options: m.options(map[string]option.Parse{
			"url": option.String(&m.URL), "method": option.String(&m.Method), "header": option.Pair(&m.Header),
			"format": option.String(&m.Format), "body": option.String(&m.Body), "exposed": option.Flag(&m.Exposed),
			"from": option.String(&m.From), "number": option.String(&m.Number), "basic_auth": two(&m.User, &m.Password),
			"bearer": option.String(&m.Bearer), "api_key": two(&m.KeyField, &m.Key), "hmac": parseHMAC(&m.HMAC),
			"answers": m.Answers.parse, "receipts": m.parseReceipts, "status_callback": option.String(&m.StatusCallback),
		}),
		Repeat: []string{"header"},
	})
}

// parseHMAC reads:
//
//	hmac {
//		secret     <secret>
//		field      <field>
//		prefix     <text>
//		hash       sha256|sha512
//		encoding   hex|base64
//		time_field <field>
//	}
func parseHMAC(into **HMAC) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		h := new(HMAC)
		*into = h
		return option.Block{Options: map[string]option.Parse{
			"secret": option.String(&h.Secret), "field": option.String(&h.Field), "prefix": option.String(&h.Prefix),
			"hash": option.String(&h.Hash), "encoding": option.String(&h.Encoding), "time_field": option.String(&h.TimeField),
		}}.Parse(d)
	}
}

// parse reads:
//
//	answers {
//		success   <status...>
//		accepted  <pointer> <word...>
//		id        <pointer>
//		retryable <status...>
//		reason    <pointer>
//		class     <word> <class>
//	}
func (a *Answers) parse(d *caddyfile.Dispenser) error {
	accepted := func(d *caddyfile.Dispenser) error {
		if err := option.String(&a.Accepted)(d); err != nil {
			return err
		}
		if a.AcceptedWords = d.RemainingArgs(); len(a.AcceptedWords) == 0 {
			return d.Err("accepted needs the words that say that a message was taken")
		}
		return nil
	}
	return option.Block{
		Options: map[string]option.Parse{
			"success": statuses(&a.Success), "accepted": accepted, "id": option.String(&a.ID), "retryable": statuses(&a.Retryable),
			"reason": option.String(&a.Reason), "class": option.Pair(&a.Classes),
		},
		Repeat: []string{"class"},
	}.Parse(d)
}

// statuses reads one or more numbers.
func statuses(into *[]int) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		name, args := d.Val(), d.RemainingArgs()
		for _, text := range args {
			n, err := strconv.Atoi(text)
			if err != nil {
				return d.Errf("option %q needs statuses such as 429, not %q", name, text)
			}
			*into = append(*into, n)
		}
		if len(args) == 0 {
			return d.Errf("option %q needs one or more statuses", name)
		}
		return nil
	}
}

// parseReceipts reads:
//
//	receipts {
//		format json|form
//		list   <pointer>
//		id     <pointer or field>
//		state  <pointer or field>
//		reason <pointer or field>
//		word   <word> sent|delivered|failed
//		class  <word> number|blocked|ambiguous
//		hmac   { ... }
//	}
func (m *Gateway) parseReceipts(d *caddyfile.Dispenser) error {
	r := new(Receipts)
	m.Receipts = r
	return option.Block{
		Options: map[string]option.Parse{
			"format": option.String(&r.Format), "list": option.String(&r.List), "id": option.String(&r.ID),
			"state": option.String(&r.State), "reason": option.String(&r.Reason), "word": option.Pair(&r.Words),
			"class": option.Pair(&r.Classes), "hmac": parseHMAC(&r.HMAC),
		},
		Repeat: []string{"word", "class"},
	}.Parse(d)
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Gateway)(nil)
