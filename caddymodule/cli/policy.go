// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
)

func policyCommand() *cobra.Command {
	var fields []string
	var from string
	cmd := command("policy <method> <url>", "Says which rules a request would meet in the running server, and what they ask",
		cobra.ExactArgs(2), func(c *client, args []string) error {
			question := policy.Question{Method: args[0], URL: args[1], Headers: http.Header{}, From: from}
			for _, field := range fields {
				name, value, ok := strings.Cut(field, ":")
				if !ok {
					return fmt.Errorf("%q is no header field: write it as \"Name: value\"", field)
				}
				question.Headers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
			var e policy.Explanation
			if err := c.call(http.MethodPost, operator.Path+"policy", question, &e); err != nil {
				return err
			}
			return c.print(e, "", func(add func(...any)) { addPolicy(&e, add) })
		})
	cmd.Flags().StringArrayVarP(&fields, "header", "H", nil, "a header field of the request, as \"Name: value\"; may stand several times")
	cmd.Flags().StringVar(&from, "from", "", "the IP address that it comes from (default 127.0.0.1)")
	return cmd
}

// addPolicy prints an explanation for people.
func addPolicy(e *policy.Explanation, add func(...any)) {
	add(e.Verdict)
	for i := range e.Rules {
		r := &e.Rules[i]
		matches := r.Matches
		if matches == "" {
			matches = "every request of its block"
		}
		if i > 0 {
			matches += ", besides the rule further out"
		}
		add("rule", "for "+matches)
		add("  requires", r.Requires)
		if r.Off {
			continue
		}
		for _, realm := range r.Realms {
			text := fmt.Sprintf("step %d: %s, not older than %s", realm.Step, realm.Name, realm.MaxAge)
			if realm.Scope != "" {
				text += ", for the scope " + realm.Scope
			}
			add("  realm", text)
		}
		add("  audience", strings.Join(r.Audience, " or "))
		add("  session", map[bool]string{true: "browsers log in", false: "none: bearer tokens only"}[r.Session])
		if r.ForwardToken {
			add("  token", "is sent on to the upstream")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		add("header", name+": "+e.Headers[name])
	}
	if e.Answers != "" {
		add("answered by", e.Answers)
	}
}
