// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
)

const outboxPath = operator.Path + "outbox"

func outboxCommand() *cobra.Command {
	return group("outbox", "Shows what could not be delivered, sends it again, or gives it up",
		outboxList(),
		outboxChange("resend <ref>...", "Sends dead letters again, with all their tries before them", "resend"),
		outboxChange("discard <ref>...", "Deletes dead letters", "discard"))
}

func outboxList() *cobra.Command {
	var after string
	var most int
	cmd := command("list", "Lists dead letters: callbacks that no receiver has accepted", cobra.NoArgs, func(c *client, _ []string) error {
		var letters []operator.Letter
		query := url.Values{"after": {after}, "limit": {strconv.Itoa(most)}}
		if err := c.call(http.MethodGet, outboxPath+"?"+query.Encode(), nil, &letters); err != nil {
			return err
		}
		err := c.print(letters, "REF\tKIND\tFOR\tSINCE\tDIED\tTRIES\tCAUSE", func(add func(...any)) {
			for _, l := range letters {
				add(l.Ref, l.Kind, l.Key, day(l.At), day(l.DiedAt), l.Tries, l.Cause)
			}
		})
		if n := len(letters); err == nil && n > 0 && n >= most {
			c.hintMore(letters[n-1].Ref)
		}
		return err
	})
	cmd.Flags().StringVar(&after, "after", "", "begin after this reference")
	cmd.Flags().IntVar(&most, "limit", operator.UsualList, "how many at most")
	return cmd
}

func outboxChange(use, short, action string) *cobra.Command {
	return command(use, short, cobra.MinimumNArgs(1), func(c *client, args []string) error {
		for _, ref := range args {
			if err := c.call(http.MethodPost, outboxPath+"/"+action, operator.LetterRequest{Ref: ref}, nil); err != nil {
				return err
			}
		}
		return c.print(map[string][]string{action: args}, "", func(add func(...any)) {
			for _, ref := range args {
				add(action, ref)
			}
		})
	})
}
