// SPDX-License-Identifier: Apache-2.0

package adapt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var (
	block      = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```")
	firstWords = regexp.MustCompile(`(?m)^[^\s#][^\n]*`)
)

// issuer completes what shows sites only.
const issuer = `{
	gatehouse {
		issuer https://auth.example.com
		scope accounts:read password
		scope payments:write password
		default_scope accounts:read
	}
}
`

// complete makes a whole Caddyfile of what a page shows a part of: some options of the global option, some directives of a
// site, or some sites.
func complete(snippet string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(firstWords.FindString(snippet)), " ")
	switch {
	case word == "{":
		return snippet
	case word == "gatehouse":
		return "{\n" + snippet + "}\n"
	case word == "issuer":
		return "{\n\tgatehouse {\n" + snippet + "}\n}\n"
	case strings.Contains(" storage seal_key audience keys sessions tokens passwords theme development realm user_identity security_test acr scope default_scope application provisioning client registration user ", " "+word+" "):
		return "{\n\tgatehouse {\n\tissuer https://auth.example.com\n" + snippet + "}\n}\n"
	case strings.HasPrefix(word, "@") || strings.Contains(" protect authorization_server handle handle_path handle_errors route reverse_proxy log ", " "+word+" "):
		return issuer + "example.com {\n" + snippet + "}\n"
	default:
		return issuer + snippet
	}
}

func format(text string) string { return string(caddyfile.Format([]byte(text))) }

// TestDocumentation adapts every Caddyfile that a page shows, provisions those that are whole, and holds them to the form
// that "caddy fmt" gives them.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, "../../README.md")
	found := 0
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, match := range block.FindAllStringSubmatch(string(content), -1) {
			found++
			t.Run(fmt.Sprintf("%s %d", filepath.Base(page), i+1), func(t *testing.T) {
				t.Parallel()
				snippet := match[1]
				if formatted := format(snippet); strings.TrimSpace(formatted) != strings.TrimSpace(snippet) {
					t.Errorf("caddy fmt would write it as\n%s", formatted)
				}
				// What "go run ./tests/services" writes below this folder has other ports and credentials each time.
				services := strings.ReplaceAll(complete(snippet), "import /tmp/services/", "import testdata/services/")
				adapted, err := adapt(services, "Caddyfile")
				if err != nil {
					t.Fatal(err)
				}
				// Files below this folder are the reader's.
				files := strings.Contains(string(adapted), `"/etc/gatehouse/`)
				if strings.Contains(string(adapted), `"issuer":"https://auth.example.com"`) && !files {
					if err := provision(adapted); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	if found < 3 {
		t.Errorf("only %d Caddyfiles are in the documentation", found)
	}
}

// TestWalkthroughs adapts and provisions the Caddyfiles that docs/walkthroughs.md and docs/provisioning.md start, and holds them to the form that
// "caddy fmt" gives them.
func TestWalkthroughs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/walkthroughs/*.Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no walkthroughs: %v", err)
	}
	var pages string
	for _, name := range []string{"walkthroughs.md", "provisioning.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		pages += string(page)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if formatted := format(string(content)); formatted != string(content) {
				t.Errorf("caddy fmt would write it as\n%s", formatted)
			}
			if !strings.Contains(pages, "--config examples/walkthroughs/"+filepath.Base(file)) {
				t.Error("no page starts it")
			}
			// The paths in it begin in the folder of the checkout.
			adapted, err := adapt(strings.ReplaceAll(string(content), "authz/realm/ltpa/testdata/", "../../authz/realm/ltpa/testdata/"), "Caddyfile")
			if err != nil {
				t.Fatal(err)
			}
			if err := provision(adapted); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClusterExample adapts the Caddyfile of examples/cluster, of which every node is one, and holds it to the form that "caddy fmt" gives it.
func TestClusterExample(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../examples/cluster/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := format(string(content)); formatted != string(content) {
		t.Errorf("caddy fmt would write it as\n%s", formatted)
	}
	adapted, err := adapt(string(content), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"engine":"postgres"`, `"proxy_protocol"`, `":8081"`} {
		if !strings.Contains(string(adapted), part) {
			t.Errorf("it has no %s: %s", part, adapted)
		}
	}
}
