// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [<file>]",
		Short: "Checks a configuration, beside the running server, and says what each site requires",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			return check(cmd, args)
		},
	}
	all := group("config", "Looks into a configuration", cmd)
	all.Long = "Looks into a configuration beside the server that runs, if any: it asks nobody and opens nothing."
	return all
}

// Route is what one route of a site requires.
type Route struct {
	Site     []string `json:"site"`
	Matches  string   `json:"matches"`
	Requires string   `json:"requires"`
}

func check(cmd *cobra.Command, args []string) error {
	flags := cmd.Flags()
	file, err := flags.GetString("config")
	if err != nil {
		return err
	}
	adapter, err := flags.GetString("adapter")
	if err != nil {
		return err
	}
	if len(args) == 1 {
		file = args[0]
	}
	data, err := loadConfig(cmd, file, adapter)
	if err != nil {
		return err
	}
	app, routes, err := explainConfig(data)
	if err != nil {
		return err
	}
	if err := validate(data); err != nil {
		return err
	}
	if err := rehearse(cmd.Context(), app.Users); err != nil {
		return err
	}
	asJSON, err := flags.GetBool("json")
	if err != nil {
		return err
	}
	c := &client{json: asJSON, cmd: cmd}
	return c.print(routes, "SITE\tREQUESTS\tREQUIRE", func(add func(...any)) {
		for _, r := range routes {
			add(strings.Join(r.Site, ", "), r.Matches, r.Requires)
		}
	})
}
