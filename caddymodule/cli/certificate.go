// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

const certificatesPath = operator.Path + "certificates"

func certificateCommand() *cobra.Command {
	return group("certificate", "Shows and revokes the certificates of devices", certificateList(), certificateRevoke())
}

func certificateList() *cobra.Command {
	var device, after string
	var most int
	cmd := command("list", "Lists certificates of devices", cobra.NoArgs, func(c *client, _ []string) error {
		var list []provisioning.Certificate
		query := url.Values{"device": {device}, "after": {after}, "limit": {strconv.Itoa(most)}}
		if err := c.call(http.MethodGet, certificatesPath+"?"+query.Encode(), nil, &list); err != nil {
			return err
		}
		err := c.print(list, "DEVICE\tENTITY\tAPP\tPLATFORM\tSERIAL\tISSUED\tUNTIL\tREVOKED", func(add func(...any)) {
			for i := range list {
				one := &list[i]
				add(one.Installation, one.Entity(), one.Application, one.Platform, one.Serial, day(one.IssuedAt), day(one.NotAfter), day(one.RevokedAt))
			}
		})
		if n := len(list); err == nil && n > 0 && n >= most {
			c.hintMore(list[n-1].ID)
		}
		return err
	})
	cmd.Flags().StringVar(&device, "device", "", "only those of this device")
	cmd.Flags().StringVar(&after, "after", "", "begin after this id")
	cmd.Flags().IntVar(&most, "limit", operator.UsualList, "how many at most")
	return cmd
}

func certificateRevoke() *cobra.Command {
	return command("revoke <device>...", "Takes the certificates of devices away: their tokens are refused from the next request on",
		cobra.MinimumNArgs(1), func(c *client, args []string) error {
			var all []operator.Revoked
			for _, device := range args {
				var revoked operator.Revoked
				if err := c.call(http.MethodDelete, certificatesPath+"/"+url.PathEscape(device), nil, &revoked); err != nil {
					return err
				}
				all = append(all, revoked)
			}
			return c.print(all, "", func(add func(...any)) {
				for _, one := range all {
					if one.Fresh {
						add("revoked", one.Device)
					} else {
						add("was revoked before", one.Device)
					}
				}
			})
		})
}
