// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

const usersPath = operator.Path + "users"

func userCommand() *cobra.Command {
	return group("user", "Adds, shows and changes users",
		userAdd(), userList(), userShow(), userPasswd(),
		userStatus("lock", identity.Locked, "Locks a user out; every session and token dies at once"),
		userStatus("unlock", identity.Active, "Lets a locked user in again; deactivated is for good"),
		userStatus("deactivate", identity.Deactivated, "Deactivates a user; every session and token dies at once"),
		userImport(),
	)
}

func userPath(name string, more ...string) string {
	return strings.Join(append([]string{usersPath, url.PathEscape(name)}, more...), "/")
}

func userAdd() *cobra.Command {
	var attributes map[string]string
	var ref string
	var noPassword bool
	cmd := command("add <login>", "Adds a user; the password is asked for, or read from standard input", cobra.ExactArgs(1),
		func(c *client, args []string) (err error) {
			request := operator.NewUserRequest{Login: args[0], ExternalRef: ref, Attributes: attributes}
			if !noPassword {
				if request.Password, err = c.readPassword(); err != nil {
					return err
				}
			}
			var user identity.User
			if err := c.call(http.MethodPost, usersPath, request, &user); err != nil {
				return err
			}
			return c.printUser(user)
		})
	cmd.Flags().StringToStringVar(&attributes, "attribute", nil, "an attribute, as name=value; may stand several times")
	cmd.Flags().StringVar(&ref, "external-ref", "", "the user's key in another system")
	cmd.Flags().BoolVar(&noPassword, "no-password", false, "add a user who cannot log in with a password")
	return cmd
}

func userList() *cobra.Command {
	var after, prefix string
	var limit int
	cmd := command("list", "Lists users", cobra.NoArgs, func(c *client, _ []string) error {
		var users []identity.User
		query := url.Values{"after": {after}, "limit": {fmt.Sprint(limit)}}
		if prefix != "" {
			query.Set("login_prefix", prefix)
		}
		if err := c.call(http.MethodGet, usersPath+"?"+query.Encode(), nil, &users); err != nil {
			return err
		}
		err := c.print(users, "ID\tLOGIN\tNAME\tSTATUS\tCREATED\tEXTERNAL REF", func(add func(...any)) {
			for _, u := range users {
				add(u.ID, strings.Join(u.Logins, ","), u.Attributes["name"], u.Status, u.CreatedAt.Format(time.DateOnly), u.ExternalRef)
			}
		})
		if n := len(users); err == nil && n > 0 && n >= min(limit, operator.MaxList) {
			last := users[n-1].ID
			if prefix != "" {
				last = users[n-1].Beginning(prefix)
			}
			c.hintMore(last)
		}
		return err
	})
	cmd.Flags().StringVar(&after, "after", "", "begin after this id, or after this login name where they are found by one")
	cmd.Flags().StringVar(&prefix, "login-prefix", "", "only those of whom a login name begins so")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many, up to 1000")
	return cmd
}

func userShow() *cobra.Command {
	return command("show <user>", "Shows a user by login name or id", cobra.ExactArgs(1), func(c *client, args []string) error {
		var user identity.User
		if err := c.call(http.MethodGet, userPath(args[0]), nil, &user); err != nil {
			return err
		}
		return c.printUser(user)
	})
}

func userPasswd() *cobra.Command {
	return command("passwd <user>", "Sets a new password; every session and token of the user dies", cobra.ExactArgs(1),
		func(c *client, args []string) error {
			password, err := c.readPassword()
			if err != nil {
				return err
			}
			var user identity.User
			request := operator.PasswordRequest{Password: password}
			if err := c.call(http.MethodPost, userPath(args[0], "password"), request, &user); err != nil {
				return err
			}
			return c.printUser(user)
		})
}

func userStatus(use string, status identity.Status, short string) *cobra.Command {
	var reason string
	cmd := command(use+" <user>", short, cobra.ExactArgs(1), func(c *client, args []string) error {
		var user identity.User
		request := operator.StatusRequest{Status: string(status), Reason: reason}
		if err := c.call(http.MethodPost, userPath(args[0], "status"), request, &user); err != nil {
			return err
		}
		return c.printUser(user)
	})
	if status != identity.Active {
		cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	}
	return cmd
}

func (c *client) printUser(u identity.User) error {
	return c.print(u, "", func(add func(...any)) {
		add("id", u.ID)
		add("logins", strings.Join(u.Logins, ", "))
		add("status", strings.TrimSpace(string(u.Status)+" "+u.StatusReason))
		if u.ExternalRef != "" {
			add("external ref", u.ExternalRef)
		}
		add("password", map[bool]string{true: "set", false: "none"}[u.HasPassword()])
		add("created", u.CreatedAt.Format(time.RFC3339))
		for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
			add("  "+name, u.Attributes[name])
		}
	})
}

func userImport() *cobra.Command {
	var dry bool
	cmd := command("import <file>", "Adds the users of a file (.csv, or JSON by line); - is standard input as JSON by line",
		cobra.ExactArgs(1), func(c *client, args []string) error {
			source, contentType := io.NopCloser(c.cmd.InOrStdin()), "application/x-ndjson"
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				source = file
			}
			defer func() { _ = source.Close() }() // it is only read
			if strings.HasSuffix(strings.ToLower(args[0]), ".csv") {
				contentType = "text/csv"
			}
			response, err := c.send(http.MethodPost, dried(usersPath+"/import", dry), contentType, io.Reader(source))
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }() // it has been read
			return c.follow(json.NewDecoder(response.Body), dry)
		})
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would become of every line, and add nobody")
	return cmd
}

// follow shows how an import goes: bad lines as they come, progress on the terminal, the result at the end. As JSON it is
// one object a line.
func (c *client) follow(answer *json.Decoder, dry bool) error {
	for {
		var l operator.ImportLine
		if err := answer.Decode(&l); err != nil {
			return fmt.Errorf("the server broke off; what it reported is done, and the import can be run again: %w", err)
		}
		switch {
		case l.Done:
			return c.imported(l, dry)
		case l.Error != "" && c.json:
			if err := json.NewEncoder(c.cmd.OutOrStdout()).Encode(l); err != nil {
				return err
			}
		case l.Error != "":
			c.cmd.PrintErrf("line %d refused: %s\n", l.Line, l.Error)
		case c.watched():
			c.cmd.PrintErrf("\r%d lines read: %d added, %d skipped, %d failed", l.Line, l.Added, l.Skipped, l.Failed)
		}
	}
}

// watched reports whether somebody sees how an import goes: progress is for a terminal, not for a log.
func (c *client) watched() bool {
	out, ok := c.cmd.ErrOrStderr().(*os.File)
	return ok && term.IsTerminal(int(out.Fd()))
}

func (c *client) imported(l operator.ImportLine, dry bool) error {
	if c.watched() {
		c.cmd.PrintErrln()
	}
	var err error
	if c.json {
		err = json.NewEncoder(c.cmd.OutOrStdout()).Encode(l)
	} else {
		err = c.print(l, "", func(add func(...any)) {
			add(map[bool]string{true: "would be added", false: "added"}[dry], l.Added)
			add("skipped, already there", l.Skipped)
			add("failed", l.Failed)
		})
	}
	switch {
	case err != nil:
		return err
	case l.Error != "":
		return errors.New(l.Error)
	case l.Failed > 0:
		return fmt.Errorf("%d lines could not be added", l.Failed)
	}
	return nil
}
