// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
)

func clientCommand() *cobra.Command {
	return group("client", "Shows the instances of apps that have registered as clients, and lets more of them",
		listClients(), showClient(), deleteClient(),
		group("token", "Issues, lists and revokes initial access tokens, with which apps register", issueToken(), listTokens(), revokeToken()))
}

func listClients() *cobra.Command {
	var application, token, after string
	list := command("list", "Lists the instances of apps that have registered", cobra.NoArgs, func(c *client, _ []string) error {
		var found []operator.Instance
		query := url.Values{"application": {application}, "initial_token": {token}, "after": {after}}
		if err := c.call(http.MethodGet, operator.Path+"clients?"+query.Encode(), nil, &found); err != nil {
			return err
		}
		err := c.print(found, "ID\tAPP\tVERSION\tADMITTED BY\tADDRESS\tREGISTERED\tUSED\tEXPIRES", func(add func(...any)) {
			for i := range found {
				f := &found[i]
				add(f.ID, f.Application, cmp.Or(f.Metadata.SoftwareVersion, "-"), admittedBy(f), f.ClientIP, day(f.CreatedAt), day(f.UsedAt), day(f.ExpiresAt))
			}
		})
		if n := len(found); err == nil && n >= operator.UsualList {
			c.hintMore(found[n-1].ID)
		}
		return err
	})
	list.Flags().StringVar(&application, "application", "", "only those of this app")
	list.Flags().StringVar(&token, "token", "", "only those that this initial access token has admitted, by its id")
	list.Flags().StringVar(&after, "after", "", "begin after this id")
	return list
}

// admittedBy says why an instance could register.
func admittedBy(i *operator.Instance) string {
	switch {
	case i.InitialToken != "" && i.Authority != "":
		return i.InitialToken + ", " + i.Authority
	case i.InitialToken == "" && i.Authority == "":
		return "-"
	}
	return i.InitialToken + i.Authority
}

func showClient() *cobra.Command {
	return command("show <id>", "Shows an instance and what is registered of it", cobra.ExactArgs(1), func(c *client, args []string) error {
		var i operator.Instance
		if err := c.call(http.MethodGet, operator.Path+"clients/"+url.PathEscape(args[0]), nil, &i); err != nil {
			return err
		}
		return c.print(i, "", func(add func(...any)) {
			add("client_id", i.ID)
			add("application", i.Application)
			add("admitted by", admittedBy(&i))
			add("address", cmp.Or(i.ClientIP, "-"))
			add("registered", day(i.CreatedAt))
			add("updated", day(i.UpdatedAt))
			add("used", day(i.UsedAt))
			add("expires", day(i.ExpiresAt))
			registered, err := json.Marshal(i.Metadata)
			if err == nil {
				add("metadata", string(registered))
			}
		})
	})
}

func deleteClient() *cobra.Command {
	return command("delete <id>", "Deletes an instance: what it was issued is refused from the next request on", cobra.ExactArgs(1),
		func(c *client, args []string) error {
			if err := c.call(http.MethodDelete, operator.Path+"clients/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return c.print(map[string]string{"deleted": args[0]}, "", func(add func(...any)) { add("deleted", args[0]) })
		})
}

func issueToken() *cobra.Command {
	var uses int
	var life, note string
	issue := command("issue <application>", "Issues an initial access token, which is shown this once", cobra.ExactArgs(1),
		func(c *client, args []string) error {
			lasts, err := caddy.ParseDuration(life)
			if err != nil {
				return fmt.Errorf("--life is a duration, such as 12h or 30d: %w", err)
			}
			request := operator.InitialTokenRequest{Application: args[0], Note: note, Uses: uses, Seconds: int64(lasts / time.Second)}
			var t operator.InitialToken
			if err := c.call(http.MethodPost, operator.Path+"client-tokens", request, &t); err != nil {
				return err
			}
			return c.print(t, "", func(add func(...any)) {
				add("token", t.Token)
				add("id", t.ID)
				add("registers", fmt.Sprintf("%d of %s", t.Uses, t.Application))
				add("until", day(t.ExpiresAt))
			})
		})
	issue.Flags().IntVar(&uses, "uses", 1, "how many instances it may register")
	issue.Flags().StringVar(&life, "life", "24h", "how long it may be used")
	issue.Flags().StringVar(&note, "note", "", "what it is for")
	return issue
}

func listTokens() *cobra.Command {
	var after string
	list := command("list", "Lists the initial access tokens, without their values", cobra.NoArgs, func(c *client, _ []string) error {
		var found []operator.InitialToken
		if err := c.call(http.MethodGet, operator.Path+"client-tokens?"+url.Values{"after": {after}}.Encode(), nil, &found); err != nil {
			return err
		}
		err := c.print(found, "ID\tAPP\tUSED\tOF\tISSUED\tEXPIRES\tNOTE", func(add func(...any)) {
			for _, t := range found {
				add(t.ID, t.Application, t.Used, t.Uses, day(t.CreatedAt), day(t.ExpiresAt), t.Note)
			}
		})
		if n := len(found); err == nil && n >= operator.UsualList {
			c.hintMore(found[n-1].ID)
		}
		return err
	})
	list.Flags().StringVar(&after, "after", "", "begin after this id")
	return list
}

func revokeToken() *cobra.Command {
	return command("revoke <id>", "Ends an initial access token; the instances it has registered stay", cobra.ExactArgs(1),
		func(c *client, args []string) error {
			if err := c.call(http.MethodDelete, operator.Path+"client-tokens/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return c.print(map[string]string{"revoked": args[0]}, "", func(add func(...any)) { add("revoked", args[0]) })
		})
}
