// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/mobilefirst"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
)

// worklight is what "import worklight" is given.
type worklight struct {
	config, descriptor, properties, ca, key string
	options                                 mobilefirst.Options
}

func worklightCommand() *cobra.Command {
	var w worklight
	cmd := &cobra.Command{
		Use:   "worklight --config <folder|authenticationConfig.xml> --ca <ca.pem>",
		Short: "The same, with the certificates that devices have of a Worklight server, which go on to count",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			return w.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&w.config, "config", "", "authenticationConfig.xml, or the folder that it is in with the other files")
	flags.StringVar(&w.descriptor, "descriptor", "", "application-descriptor.xml (default the one in the folder, if any)")
	flags.StringVar(&w.properties, "properties", "", "worklight.properties (default the one in the folder, if any)")
	flags.StringVar(&w.ca, "ca", "", "the certificate of the authority that the server has issued with, in PEM")
	flags.StringVar(&w.key, "key", "", "its key in PEM, to see whether it is the right one; nothing is made of it")
	importFlags(cmd, &w.options)
	for _, name := range []string{"config", "ca"} {
		_ = cmd.MarkFlagRequired(name) // it is there
	}
	return cmd
}

// run reads the files and prints the Caddyfile. It changes nothing anywhere.
func (w *worklight) run(cmd *cobra.Command) error {
	if err := w.folder(); err != nil {
		return err
	}
	issuers, err := w.authority()
	if err != nil {
		return err
	}
	path, err := filepath.Abs(w.ca)
	if err != nil {
		return fmt.Errorf("naming %s: %w", w.ca, err)
	}
	w.options.Devices = &mobilefirst.Devices{CAFile: path}
	if w.properties != "" {
		if w.options.Devices.Properties, err = readFile(w.properties); err != nil {
			return err
		}
	}
	args := []string{w.config}
	if w.descriptor != "" {
		args = append(args, w.descriptor)
	}
	if err := importMobileFirst(cmd, args, w.options); err != nil {
		return err
	}
	for _, c := range issuers {
		name := sha256.Sum256(c.Raw)
		cmd.PrintErrf("authority: %s, until %s, SHA-256 %s\n", c.Subject, c.NotAfter.UTC().Format(time.DateOnly), hex.EncodeToString(name[:]))
	}
	return nil
}

// folder finds the files of a folder.
func (w *worklight) folder() error {
	info, err := os.Stat(w.config)
	if err != nil || !info.IsDir() {
		return err
	}
	folder := w.config
	w.config = filepath.Join(folder, "authenticationConfig.xml")
	for name, into := range map[string]*string{"application-descriptor.xml": &w.descriptor, "worklight.properties": &w.properties} {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); *into == "" && err == nil {
			*into = path
		}
	}
	return nil
}

// authority reads its certificates, and looks at the key.
func (w *worklight) authority() ([]*x509.Certificate, error) {
	file, err := readFile(w.ca)
	if err != nil {
		return nil, err
	}
	issuers, err := former.ParseIssuers(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.ca, err)
	}
	if w.key == "" {
		return issuers, nil
	}
	if file, err = readFile(w.key); err == nil {
		err = former.CheckKey(file, issuers[0])
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.key, err)
	}
	return issuers, nil
}
