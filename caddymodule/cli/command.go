// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"slices"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

const name = "gatehouse"

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  name,
		Usage: "<user|keys|session|token|audit|health|config> ...",
		Short: "Works on the users, keys, sessions and tokens of a running Gatehouse",
		Long: `
Speaks to the admin API of the running server, which it finds as "caddy reload" does: at --address, or where the
configuration named by --config says, or the Caddyfile in this folder, or at localhost:2019.

Passwords are asked for, or read from standard input; they are never arguments.
With --json every command prints JSON.`,
		CobraFunc: func(cmd *cobra.Command) {
			flags := cmd.PersistentFlags()
			flags.String("address", "", "address of the admin API")
			flags.StringP("config", "c", "", "configuration that says where the admin API is")
			flags.StringP("adapter", "a", "", "adapter of that configuration")
			flags.Bool("json", false, "print JSON")
			onlyChildren(cmd, userCommand(), keysCommand(), sessionCommand(), tokenCommand(), auditCommand(), healthCommand(),
				configCommand())
		},
	})
}

// Shorten lets our own binary be called without the word "gatehouse": "gatehouse user add" for "caddy gatehouse user add".
func Shorten() {
	if len(os.Args) > 1 && slices.Contains([]string{"user", "keys", "session", "token", "audit", "health", "config"}, os.Args[1]) {
		os.Args = slices.Insert(os.Args, 1, name)
	}
}

// command returns a subcommand. Errors are printed by Caddy's root command.
func command(use, short string, args cobra.PositionalArgs, run func(c *client, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			return run(c, args)
		},
	}
}

// group returns a command that only has subcommands.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	onlyChildren(cmd, children...)
	return cmd
}

// onlyChildren has a command refuse what is none of its subcommands, for which cobra would show its help and succeed.
func onlyChildren(cmd *cobra.Command, children ...*cobra.Command) {
	cmd.AddCommand(children...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			cmd.SilenceUsage = true
			return fmt.Errorf("unknown command %q for %q: see --help", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
}
