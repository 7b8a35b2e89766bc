// SPDX-License-Identifier: Apache-2.0

package secret_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
)

const word = "correct horse"

func TestResolve(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", word)
	t.Setenv("GATEHOUSE_TEST_NOTHING", "")
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(word+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text, want string
		warns, refused   bool
	}{
		{name: "from the environment", text: "{env.GATEHOUSE_TEST_SECRET}", want: word},
		{name: "from a file, without the end of its line", text: "{file." + path + "}", want: word},
		{name: "a part of it", text: "Bearer {env.GATEHOUSE_TEST_SECRET}", want: "Bearer " + word},
		{name: "in clear", text: word, want: word, warns: true},
		{name: "none", text: ""},
		{name: "an empty variable", text: "{env.GATEHOUSE_TEST_NOTHING}", refused: true},
		{name: "a variable that is not set", text: "{env.GATEHOUSE_TEST_NOWHERE}", refused: true},
		{name: "no file", text: "{file." + path + "x}", refused: true},
		{name: "an unknown placeholder", text: "{vault.x}", warns: true, refused: true},
		{name: "an unknown one beside another", text: "{env.GATEHOUSE_TEST_SECRET}{vault.x}", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			got, err := secret.Resolve(tt.text, "the thing", slog.New(slog.NewTextHandler(&log, nil)))
			if got != tt.want || (err != nil) != tt.refused {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), word) {
				t.Errorf("the error tells the secret: %v", err)
			}
			if warned := strings.Contains(log.String(), `of="the thing"`); warned != tt.warns || strings.Contains(log.String(), word) {
				t.Errorf("the log is %q", &log)
			}
		})
	}
}

func TestDeferred(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "{": false, word: false, "{username}": false, "{env.A}": true, "x{file./a}": true,
	} {
		if secret.Deferred(text) != want {
			t.Errorf("%q is known only where the server runs: %v", text, !want)
		}
	}
}

func TestInDSN(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]bool{
		"{env.DSN}": false, "postgres://u@db/x": false, "postgres://u:{env.P}@db/x": false, "postgres://u:word@db/x": true,
		"postgres://u@db/x?password=word": true, "postgres://u@db/x?password={env.P}": false, "postgres://u@db/x?sslpassword=word": true,
		"host=db password=word": true, "host=db password='a word'": true, "host=db password = word": true, "host=db password='{env.P}'": false,
	} {
		if secret.InDSN(dsn) != want {
			t.Errorf("a password stands in %q: %v", dsn, !want)
		}
	}
}
