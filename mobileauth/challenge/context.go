// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"net/netip"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// labels are what the origin of a request is called on a phone, by language: its browser and its address.
var labels = map[string][2]string{"en": {"Browser", "Address"}, "nl": {"Browser", "Adres"}}

// context is what a phone shows beside the message: where somebody wants to go. A name that could pass for something else is left
// away.
func (c *call) context() operation.Context {
	named, err := operation.Context{Title: c.in.Client.Name}.Check(shown.Content{Most: operation.MaxShort})
	if err != nil {
		return operation.Context{}
	}
	return named
}

// whereabouts are where the request comes from, as far as it says: a person who scans a picture that somebody else holds in front of
// them sees another browser than their own, at another address. A place is for the template of the message, where one is known.
func (c *call) whereabouts() []operation.Field {
	from := c.origin()
	primary, _, _ := strings.Cut(c.language(), "-")
	label, ok := labels[strings.ToLower(primary)]
	if !ok {
		label = labels["en"]
	}
	var fields []operation.Field
	agent := origin.ParseAgent(from.UserAgent)
	browser := strings.TrimPrefix(strings.TrimSuffix(agent.Browser+", "+agent.OperatingSystem, ", "), ", ")
	for i, value := range []string{browser, address(from.Address)} {
		if value != "" {
			fields = append(fields, operation.Field{Type: shown.FieldText, Label: label[i], Value: value})
		}
	}
	if checked, err := (operation.Context{Fields: fields}).Check(shown.Content{}); err == nil {
		return checked.Fields
	}
	return nil
}

func address(from netip.Addr) string {
	if !from.IsValid() {
		return ""
	}
	return from.Unmap().WithZone("").String()
}

// origin is where the request came from.
func (c *call) origin() asking.Origin {
	address, _ := netip.ParseAddr(c.in.ClientIP) // one that is none is not told
	from := asking.Origin{Address: address}
	if agents := c.in.Headers["User-Agent"]; len(agents) > 0 {
		from.UserAgent = agents[0]
	}
	return from
}
