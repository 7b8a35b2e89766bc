// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/demo/tour"
	"github.com/gatehouse-id/gatehouse/caddymodule/simulator"
	"github.com/gatehouse-id/gatehouse/caddymodule/storagecmd"
)

const name = "gatehouse"

// commands returns a new copy of each of our commands, in the order in which help names them.
func commands() []*cobra.Command {
	return []*cobra.Command{
		userCommand(), appCommand(), clientCommand(), keysCommand(), sessionCommand(), tokenCommand(), auditCommand(), certificateCommand(), outboxCommand(), mobileCommand(),
		healthCommand(), configCommand(), policyCommand(), importCommand(), receiptCommand(), onlyChildren(storagecmd.Command(loadConfig)), onlyChildren(simulator.Command()),
		tour.Command(servedRoots),
	}
}

// ours tells that this is our own binary, whose commands stand beside Caddy's.
var ours bool

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  name,
		Usage: "<user|app|client|keys|session|token|audit|certificate|outbox|mobile|health|config|policy|import|receipt|store|device|demo> ...",
		Short: "Works on the users, apps, clients, keys, sessions and tokens of a running Gatehouse",
		Long:  strings.TrimSpace(manner),
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Hidden = ours
			addFlags(cmd)
			onlyChildren(cmd, commands()...)
		},
	})
}

const manner = `
Speaks to the admin API of the running server, which it finds as "caddy reload" does: at --address, or where the
configuration named by --config says, or the Caddyfile in this folder, or at localhost:2019.

Passwords are asked for, or read from standard input; they are never arguments.
With --json every command prints JSON.`

// TopLevel makes our commands those of our own binary, "gatehouse user add" for "caddy gatehouse user add", and has its help
// begin with them. It is called once, before Caddy's main function.
func TopLevel() {
	ours = true
	caddy.CustomBinaryName = name
	caddy.CustomLongDescription = help()
	for _, built := range commands() {
		caddycmd.RegisterCommand(caddycmd.Command{
			Name: built.Name(), Short: built.Short, Long: cmp.Or(built.Long, built.Short+".\n"+manner),
			CobraFunc: func(cmd *cobra.Command) {
				cmd.Use, cmd.Args, cmd.RunE = built.Use, built.Args, built.RunE
				addFlags(cmd)
				cmd.Flags().AddFlagSet(built.Flags())
				cmd.PersistentFlags().AddFlagSet(built.PersistentFlags())
				children := slices.Clone(built.Commands())
				built.RemoveCommand(children...)
				cmd.AddCommand(children...)
			},
		})
	}
}

// help is what the help of our own binary begins with.
func help() string {
	var text strings.Builder
	text.WriteString("Gatehouse is Caddy with an authorization gateway in it. Its own commands:\n\n")
	for _, cmd := range commands() {
		var inside []string
		for _, child := range cmd.Commands() {
			inside = append(inside, child.Name())
		}
		fmt.Fprintf(&text, "  %-8s %s", cmd.Name(), cmd.Short)
		if len(inside) > 0 {
			fmt.Fprintf(&text, ": %s", strings.Join(inside, ", "))
		}
		text.WriteString("\n")
	}
	text.WriteString("\nAll other commands are Caddy's under this name: \"gatehouse run\" does what \"caddy run\" does.")
	return text.String()
}

func addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.String("address", "", "address of the admin API")
	flags.StringP("config", "c", "", "configuration that says where the admin API is")
	flags.StringP("adapter", "a", "", "adapter of that configuration")
	flags.Bool("json", false, "print JSON")
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
	return onlyChildren(&cobra.Command{Use: use, Short: short}, children...)
}

// onlyChildren has a command refuse what is none of its subcommands, for which cobra would show its help and succeed.
func onlyChildren(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(children...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			cmd.SilenceUsage = true
			return fmt.Errorf("unknown command %q for %q: see --help", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
	return cmd
}

// dashedKey is a key id that looks like flags: a thumbprint (RFC 7638) may begin with a "-".
var dashedKey = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

// takesKey has a command take a key id as it stands, where others need "--" before an argument that begins with a "-".
func takesKey(cmd *cobra.Command) *cobra.Command {
	operands, run := cmd.Args, cmd.RunE
	cmd.DisableFlagParsing, cmd.Args = true, cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cmd.DisableFlagParsing = false
		if i := slices.IndexFunc(args, dashedKey.MatchString); i >= 0 && !slices.Contains(args, "--") {
			args = slices.Concat(args[:i], args[i+1:], []string{"--", args[i]})
		}
		if err := cmd.ParseFlags(args); err != nil {
			return cmd.FlagErrorFunc()(cmd, err)
		}
		if asked, err := cmd.Flags().GetBool("help"); err != nil || asked {
			return cmd.Help()
		}
		args = cmd.Flags().Args()
		if err := operands(cmd, args); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}
