// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/playintegrity"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// vouching is what enroll is told about evidence.
type vouching struct {
	authority, app, grade, format string
}

func (v *vouching) flags(flags *pflag.FlagSet) {
	flags.StringVar(&v.authority, "attest", "", `test authority that vouches for the phone, see "device authority"`)
	flags.StringVar(&v.app, "attest-app", "", "the app that it vouches for: the name of an Android package, or TEAM.BUNDLE for ios")
	flags.StringVar(&v.grade, "attest-grade", "tee", "where it says that the key is: hardware, tee or software")
	flags.StringVar(&v.format, "attest-format", "", "how it says so: android-key or play-integrity, or apple-appattest for ios (default that of the platform)")
}

// authority makes a test authority.
func authority(*options) *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use: "authority <file>", Short: "Makes a TEST authority, which vouches for simulated phones as a manufacturer does for real ones",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return makeAuthority(cmd, args[0], root) },
	}
	cmd.Flags().StringVar(&root, "root", "", "where its root certificate goes, for the server's configuration (required)")
	return cmd
}

func makeAuthority(cmd *cobra.Command, file, root string) error {
	if root == "" {
		return errors.New("say where the root certificate goes: --root")
	}
	a, err := testauthority.New(time.Now)
	if err != nil {
		return err
	}
	text, err := a.Marshal()
	if err != nil {
		return err
	}
	if err := writeNew(file, text, 0o600); err != nil {
		return err
	}
	if err := writeNew(root, a.RootPEM(), 0o644); err != nil {
		return err
	}
	play, err := a.Play()
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(play.SigningKey.Public())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Whoever believes %s believes everything that is made with %s: configure it for tests alone.\n"+
		"Apps are signed with the digest %s.\nFor play_integrity it is believed by its keys:\n\tdecryption_key   %s\n\tverification_key %s\n",
		root, file, hex.EncodeToString(a.AppDigest()), base64.StdEncoding.EncodeToString(play.EncryptionKey), base64.StdEncoding.EncodeToString(public))
	return err
}

// writeNew overwrites nothing.
func writeNew(path string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("writing a test authority: %w", err)
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// levels are the security levels that an Android keystore says for a grade.
var levels = map[attestation.Grade]int{attestation.Software: 0, attestation.TEE: 1, attestation.Hardware: 2}

// attester returns what vouches for a phone; nothing without an authority.
func (v *vouching) attester(platform string) (device.Attester, error) {
	if v.authority == "" {
		if v.app != "" || v.format != "" {
			return nil, errors.New("--attest-app says for which app somebody vouches: --attest says who")
		}
		return nil, nil
	}
	if v.app == "" {
		return nil, errors.New("say for which app the authority vouches: --attest-app")
	}
	level, ok := levels[attestation.Grade(v.grade)]
	if !ok {
		return nil, fmt.Errorf("--attest-grade %q is none of hardware, tee and software", v.grade)
	}
	text, err := os.ReadFile(v.authority)
	if err != nil {
		return nil, fmt.Errorf("reading the test authority: %w", err)
	}
	a, err := testauthority.Parse(text, time.Now)
	if err != nil {
		return nil, err
	}
	return v.evidence(a, platform, level)
}

// evidence returns what makes the evidence of a platform.
func (v *vouching) evidence(a *testauthority.Authority, platform string, level int) (device.Attester, error) {
	usual := map[string]string{"android": androidkey.Format, "ios": appattest.Format}[platform]
	switch format := cmp.Or(v.format, usual); {
	case usual == "":
		return nil, fmt.Errorf("a test authority does not vouch for phones of the platform %q", platform)
	case platform == "android" && format == playintegrity.Format:
		strong := v.grade == string(attestation.TEE)
		if !strong && v.grade != string(attestation.Software) {
			return nil, errors.New("a verdict of Play Integrity shows no other grade: --attest-grade tee or software")
		}
		return func(_ context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error) {
			return playEvidence(a, v.app, envelope.AttestationHash(challenge, keys), strong)
		}, nil
	case format != usual:
		return nil, fmt.Errorf("--attest-format %q is none that phones of the platform %q have", format, platform)
	case platform == "android":
		return func(_ context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error) {
			k := testauthority.Keystore(keys.Sign.Public(), challenge, v.app, a.AppDigest())
			k.Level, k.KeyLevel = level, level
			return androidEvidence(a, k)
		}, nil
	case v.grade != string(attestation.TEE):
		return nil, errors.New("an iPhone shows no other grade: --attest-grade tee")
	}
	return func(_ context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error) {
		return appleEvidence(a, v.app, envelope.AttestationHash(challenge, keys))
	}, nil
}

func playEvidence(a *testauthority.Authority, app string, bound [32]byte, strong bool) (json.RawMessage, error) {
	token, err := a.Verdict(app, bound[:], strong)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"format": playintegrity.Format, "token": token})
}

func androidEvidence(a *testauthority.Authority, k testauthority.Android) (json.RawMessage, error) {
	chain, err := a.Certify(k)
	if err != nil {
		return nil, err
	}
	body := struct {
		Format string           `json:"format"`
		Chain  []envelope.Bytes `json:"chain"`
	}{Format: androidkey.Format}
	for _, der := range chain {
		body.Chain = append(body.Chain, der)
	}
	return json.Marshal(body)
}

func appleEvidence(a *testauthority.Authority, app string, bound [32]byte) (json.RawMessage, error) {
	p, err := testauthority.AppAttest(app, bound[:])
	if err != nil {
		return nil, err
	}
	object, err := a.Attest(p)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Format string         `json:"format"`
		KeyID  envelope.Bytes `json:"key_id"`
		Object envelope.Bytes `json:"object"`
	}{appattest.Format, p.KeyID(), object})
}
