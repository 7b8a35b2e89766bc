// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
)

func keysCommand() *cobra.Command {
	list := command("list", "Lists the signing keys", cobra.NoArgs, func(c *client, _ []string) error {
		return c.keys(http.MethodGet, "keys", nil)
	})
	var force bool
	rotate := command("rotate", "Lets the next signing keys take over now", cobra.NoArgs, func(c *client, _ []string) error {
		return c.keys(http.MethodPost, "keys/rotate", operator.RotateRequest{Force: force})
	})
	rotate.Flags().BoolVar(&force, "force", false, "also when verifiers may not have seen the next key yet")
	revoke := takesKey(command("revoke <kid>", "Withdraws a key that has leaked: what it signed is refused at once",
		cobra.ExactArgs(1), func(c *client, args []string) error {
			return c.keys(http.MethodDelete, "keys/"+url.PathEscape(args[0]), nil)
		}))
	return group("keys", "Shows, rotates and revokes the signing keys", list, rotate, revoke)
}

func (c *client) keys(method, path string, request any) error {
	var keys []operator.Key
	if err := c.call(method, operator.Path+path, request, &keys); err != nil {
		return err
	}
	return c.print(keys, "KID\tALG\tSTATE\tCREATED\tACTIVATED\tRETIRED", func(add func(...any)) {
		for _, k := range keys {
			add(k.KID, k.Algorithm, k.State, day(k.CreatedAt), day(k.ActivatedAt), day(k.RetiredAt))
		}
	})
}

// day prints a time to the minute, and nothing for none.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func sessionCommand() *cobra.Command {
	var user, after string
	list := command("list", "Lists browser sessions", cobra.NoArgs, func(c *client, _ []string) error {
		var sessions []operator.Session
		query := url.Values{"user": {user}, "after": {after}}
		if err := c.call(http.MethodGet, operator.Path+"sessions?"+query.Encode(), nil, &sessions); err != nil {
			return err
		}
		err := c.print(sessions, "ID\tUSER\tREALMS\tCLIENTS\tADDRESS\tBEGUN\tSEEN", func(add func(...any)) {
			for _, s := range sessions {
				who := s.Subject
				if s.Name != "" {
					who = s.Name + " (" + s.Subject + ")"
				}
				slices.Sort(s.Realms)
				add(s.ID, who, strings.Join(s.Realms, ","), strings.Join(s.Clients, ","), s.ClientIP, day(s.CreatedAt), day(s.SeenAt))
			}
		})
		if n := len(sessions); err == nil && user == "" && n >= operator.UsualList {
			c.hintMore(sessions[n-1].ID)
		}
		return err
	})
	list.Flags().StringVar(&user, "user", "", "only those of this user, by login name or id")
	list.Flags().StringVar(&after, "after", "", "begin after this id")
	end := command("end <session>", "Ends a session: its tokens are refused from the next request on", cobra.ExactArgs(1),
		func(c *client, args []string) error {
			if err := c.call(http.MethodDelete, operator.Path+"sessions/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return c.print(map[string]string{"ended": args[0]}, "", func(add func(...any)) { add("ended", args[0]) })
		})
	return group("session", "Shows and ends browser sessions", list, end)
}

func tokenCommand() *cobra.Command {
	return group("token", "Looks into tokens",
		command("inspect", "Says what a token read from standard input is and whether it is active", cobra.NoArgs,
			func(c *client, _ []string) error {
				raw, err := bufio.NewReader(io.LimitReader(c.cmd.InOrStdin(), 32<<10)).ReadString('\n')
				if err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				var found server.Inspection
				request := operator.TokenRequest{Token: strings.TrimSpace(raw)}
				if err := c.call(http.MethodPost, operator.Path+"tokens/inspect", request, &found); err != nil {
					return err
				}
				return c.print(found, "", func(add func(...any)) {
					add("active", found.Active)
					add("kind", found.Kind)
					if found.Problem != "" {
						add("problem", found.Problem)
					}
					for _, claim := range slices.Sorted(maps.Keys(found.Claims)) {
						add("  "+claim, readable(claim, found.Claims[claim]))
					}
				})
			}))
}

// readable prints the times among the claims as times, and everything else as it is.
func readable(claim string, value any) any {
	seconds, ok := value.(float64)
	if !ok {
		return value
	}
	if slices.Contains([]string{"exp", "iat", "nbf", "auth_time", "idle_exp"}, claim) {
		return time.Unix(int64(seconds), 0).Local().Format(time.DateTime)
	}
	return int64(seconds)
}

func healthCommand() *cobra.Command {
	return command("health", "Says whether the server is well", cobra.NoArgs, func(c *client, _ []string) error {
		var h operator.Health
		if err := c.call(http.MethodGet, operator.Path+"health", nil, &h); err != nil {
			return err
		}
		return c.print(h, "", func(add func(...any)) {
			add("status", h.Status)
			add("issuer", h.Issuer)
			add("store", h.Store)
			add("keys", h.Keys)
			add("revocations", h.Revocations)
			add("apps", h.Apps)
		})
	})
}
