// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

const (
	rootsPath = operator.Path + "receipts/roots"
	// maxReceipt is more than any receipt has, in bytes.
	maxReceipt = 1 << 20
)

func receiptCommand() *cobra.Command {
	return group("receipt", "Verifies receipts of what people approved, and tells what they are verified by", receiptVerify(), receiptRoots())
}

// receiptVerify asks no server: a receipt proves what it says after the server is gone.
func receiptVerify() *cobra.Command {
	var pinned []string
	var file string
	cmd := &cobra.Command{
		Use: "verify <file>", Args: cobra.ExactArgs(1),
		Short: `Verifies a receipt, without asking any server. The file "-" is standard input`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			roots, err := pinnedRoots(pinned, file)
			if err != nil {
				return err
			}
			data, err := readReceipt(cmd, args[0])
			if err != nil {
				return err
			}
			verified, err := receipt.Verify(data, roots)
			if err != nil {
				return err
			}
			asJSON, err := cmd.Flags().GetBool("json")
			if err != nil {
				return err
			}
			return (&client{json: asJSON, cmd: cmd}).printReceipt(&verified)
		},
	}
	cmd.Flags().StringSliceVar(&pinned, "root", nil, `thumbprint of a root key that is believed (see "receipt roots")`)
	cmd.Flags().StringVar(&file, "roots", "", "file of such thumbprints, one a line, or a JWK set")
	return cmd
}

func pinnedRoots(pinned []string, file string) (receipt.Roots, error) {
	text := []byte(strings.Join(pinned, "\n"))
	if file != "" {
		if len(pinned) > 0 {
			return nil, errors.New("give --root or --roots, and not both")
		}
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("reading the roots: %w", err)
		}
	}
	if len(text) == 0 {
		return nil, errors.New("say which root key is believed, --root or --roots: a receipt that vouches for itself proves nothing")
	}
	return receipt.ParseRoots(text)
}

func readReceipt(cmd *cobra.Command, name string) ([]byte, error) {
	from := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the receipt: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	data, err := io.ReadAll(io.LimitReader(from, maxReceipt))
	if err != nil {
		return nil, fmt.Errorf("reading the receipt: %w", err)
	}
	return data, nil
}

// proven is a receipt for programs.
type proven struct {
	Operation   string          `json:"operation"`
	Kind        string          `json:"kind"`
	Issuer      string          `json:"issuer"`
	UserID      string          `json:"user_id"`
	ExternalRef string          `json:"external_ref,omitempty"`
	ClientID    string          `json:"client_id,omitempty"`
	ExternalID  string          `json:"external_id,omitempty"`
	Shown       json.RawMessage `json:"shown"`
	Method      string          `json:"method"`
	Factors     []string        `json:"factors"`
	Assurance   string          `json:"assurance"`
	Created     time.Time       `json:"created_at"`
	Answered    time.Time       `json:"answered_at"`
	Signed      time.Time       `json:"signed_at"`
	DeviceID    string          `json:"device_id"`
	Application string          `json:"application,omitempty"`
	Platform    string          `json:"platform,omitempty"`
	Key         string          `json:"device_key"`
	SigningKey  string          `json:"signing_key"`
	Root        string          `json:"root"`
}

func (c *client) printReceipt(r *receipt.Receipt) error {
	whole := proven{
		Operation: r.Operation, Kind: r.Kind, Issuer: r.Issuer, UserID: r.UserID, ExternalRef: r.ExternalRef, ClientID: r.ClientID,
		ExternalID: r.ExternalID, Shown: r.Display, Method: r.Method, Factors: r.Factors, Assurance: r.Assurance, Created: r.Created,
		Answered: r.Answered, Signed: r.Signed, DeviceID: r.DeviceID, Application: r.Application, Platform: r.Platform, Key: r.Key.ID(),
		SigningKey: r.SigningKey, Root: r.Root,
	}
	return c.print(whole, "", func(add func(...any)) {
		add("verified", r.Kind+" "+r.Operation)
		add("issuer", r.Issuer)
		add("user", strings.TrimSpace(r.UserID+" "+r.ExternalRef))
		add("asked by", strings.TrimSpace(r.ClientID+" "+r.ExternalID))
		for i, line := range r.Lines() {
			label := ""
			if i == 0 {
				label = "shown"
			}
			add(label, line)
		}
		add("approved", r.Answered.Local().Format(time.DateTime)+", by "+r.Method+" ("+strings.ReplaceAll(r.Assurance, "_", " ")+")")
		add("device", r.DeviceID+", key "+r.Key.ID())
		if a := r.Attestation; a.Grade != "" {
			add("attested", a.Grade+", by "+a.Format+" on "+a.At.Local().Format(time.DateTime))
		}
		add("root", r.Root)
	})
}

func receiptRoots() *cobra.Command {
	return command("roots", "Prints the root keys as a JWK set, for whoever verifies receipts", cobra.NoArgs, func(c *client, _ []string) error {
		set, err := c.rootKeys()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.cmd.OutOrStdout(), "%s\n", set)
		return err
	})
}

// rootKeys returns the root keys of the running server, as a JWK set.
func (c *client) rootKeys() (set json.RawMessage, err error) {
	return set, c.call(http.MethodGet, rootsPath, nil, &set)
}

// servedRoots are the root keys of the server that a command speaks to.
func servedRoots(cmd *cobra.Command) (receipt.Roots, error) {
	c, err := newClient(cmd)
	if err != nil {
		return nil, err
	}
	set, err := c.rootKeys()
	if err != nil {
		return nil, err
	}
	return receipt.ParseRoots(set)
}
