// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/mobilefirst"
)

func importCommand() *cobra.Command {
	var o mobilefirst.Options
	cmd := &cobra.Command{
		Use:   "mobilefirst <authenticationConfig.xml> [<application-descriptor.xml>]",
		Short: "Prints the Caddyfile that asks for what a Worklight or MobileFirst 7 server asks for",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			return importMobileFirst(cmd, args, o)
		},
	}
	importFlags(cmd, &o)
	all := group("import", "Makes a Caddyfile of another system's configuration", cmd, worklightCommand())
	all.Long = "Makes a Caddyfile of another system's configuration: it is printed, and what has to be known about it goes to standard error."
	return all
}

func importFlags(cmd *cobra.Command, o *mobilefirst.Options) {
	flags := cmd.Flags()
	flags.StringVar(&o.Issuer, "issuer", "", "the URL of the authorization server (default https://auth.example.com)")
	flags.StringVar(&o.Site, "site", "", "the address of the site that has the static resources (default app.example.com)")
	flags.BoolVar(&o.Development, "development", false, "keep login modules open that accept anybody")
}

// Imported is what "import" prints as JSON.
type Imported struct {
	Caddyfile string                `json:"caddyfile"`
	Findings  []mobilefirst.Finding `json:"findings"`
}

func importMobileFirst(cmd *cobra.Command, args []string, o mobilefirst.Options) error {
	var files [2][]byte
	for i, name := range args {
		var err error
		if files[i], err = readFile(name); err != nil {
			return err
		}
	}
	result, err := mobilefirst.Import(files[0], files[1], o)
	if err != nil {
		return err
	}
	if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(result.Caddyfile, map[string]any{"filename": "Caddyfile"}); err != nil {
		return fmt.Errorf("the Caddyfile would not load: %w", err)
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	if asJSON {
		return (&client{json: true, cmd: cmd}).print(Imported{string(result.Caddyfile), result.Findings}, "", nil)
	}
	for _, f := range result.Findings {
		cmd.PrintErrln(f)
	}
	count := map[mobilefirst.Kind]int{}
	for _, f := range result.Findings {
		count[f.Kind]++
	}
	cmd.PrintErrf("%d to fill in, %d without an equivalent, %d warnings\n",
		count[mobilefirst.FillIn], count[mobilefirst.NoEquivalent], count[mobilefirst.Warning])
	_, err = cmd.OutOrStdout().Write(result.Caddyfile)
	return err
}

// readFile reads a file, but no more of it than the import takes.
func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it is only read
	return io.ReadAll(io.LimitReader(file, mobilefirst.MaxSize+1))
}
