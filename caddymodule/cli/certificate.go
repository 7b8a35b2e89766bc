// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

const (
	certificatesPath = operator.Path + "certificates"
	authoritiesPath  = operator.Path + "authorities"
)

func certificateCommand() *cobra.Command {
	return group("certificate", "Shows and revokes the certificates of devices", certificateList(), certificateRevoke(),
		authorityList())
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
	var authority string
	var yes bool
	cmd := command("revoke <device>...|--authority <id>", "Takes the certificates of devices away, or all that an authority has issued: they are refused from the next request on",
		cobra.ArbitraryArgs, func(c *client, args []string) error {
			switch {
			case (authority == "") == (len(args) == 0):
				return errors.New("name devices, or an authority with --authority")
			case authority != "":
				return revokeAuthority(c, authority, yes)
			}
			return revokeDevices(c, args)
		})
	cmd.Flags().StringVar(&authority, "authority", "", "the authority, by its id or fingerprint")
	cmd.Flags().BoolVar(&yes, "yes", false, "revoke the authority, instead of saying what that would take away")
	return cmd
}

func revokeDevices(c *client, devices []string) error {
	var all []operator.Revoked
	for _, device := range devices {
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
}

// revokeAuthority says what would be taken away, and takes it away when it was told to.
func revokeAuthority(c *client, authority string, yes bool) error {
	var revoked operator.RevokedAuthority
	path := authoritiesPath + "/" + url.PathEscape(authority) + "?dry_run=" + strconv.FormatBool(!yes)
	if err := c.call(http.MethodDelete, path, nil, &revoked); err != nil {
		return err
	}
	return c.print(revoked, "", func(add func(...any)) {
		switch count, some := revoked.Count(); {
		case !yes && some:
			add("would be revoked, with --yes: " + count)
		case !some:
			add("was revoked before: " + count)
		default:
			add("revoked: " + count)
		}
	})
}

func authorityList() *cobra.Command {
	return command("authorities", "Lists those who have issued certificates that are known", cobra.NoArgs, func(c *client, _ []string) error {
		var list []provisioning.AuthorityRecord
		if err := c.call(http.MethodGet, authoritiesPath, nil, &list); err != nil {
			return err
		}
		return c.print(list, "ID\tSUBJECT\tCERTIFICATES\tLATEST\tUNTIL\tREVOKED", func(add func(...any)) {
			for i := range list {
				one := &list[i]
				add(one.ID, one.Subject, one.Certificates, day(one.Latest), day(one.NotAfter), day(one.RevokedAt))
			}
		})
	})
}
