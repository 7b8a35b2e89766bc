// SPDX-License-Identifier: Apache-2.0

package mobilefirst_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/mobilefirst"
)

// escaped is a text as the value of an attribute or the text of an element.
func escaped(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostile are texts that would mean something where they must not: to a Caddyfile, to Caddy, to XML, to a terminal.
var hostile = []string{
	"x\n}\n:80 {\n\trespond pwned\n}", "x\r\n}\r\nimport /etc/passwd", "\u2028}\u2028:80 {", "\u0085}\u0085respond pwned",
	"{env.SECRET}", "{file./etc/passwd}", "{$SECRET}", "{$SECRET:x}", "{http.request.header.X}", "{", "}", "{\n", "<<EOF\npwned\nEOF", "`\"\\`",
	"`\n}\nrespond pwned", "# pwned", "a # pwned", `\`, "a\\\nb", "import pwned", "(snippet)", "&(pwned)", "@pwned", "\x1b[2Jpwned", "\u202epwned",
	"{{placeholder \"env.SECRET\"}}", "*", "**", "off", "{args[0]}", "{block}", "--", "",
}

// placeholders finds what Caddy would replace.
var placeholders = regexp.MustCompile(`\{[^{}\s]*\}`)

// ours are the placeholders that the importer writes by itself.
var ours = []string{"{username}", "{env."}

// Whatever stands in one place of a file stays in it: no line, no block and no placeholder of its own comes of it.
func TestNothingGetsOutOfItsPlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d samples are there: %v", len(files), err)
	}
	value := regexp.MustCompile(`="[^"]*"|>[^<>\s][^<>]*<`)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range value.FindAllIndex(content, -1) {
			for _, text := range hostile {
				first, last := content[at[0]:at[0]+1], content[at[1]-1]
				if first[0] == '=' {
					first = []byte(`="`)
				}
				spoilt := string(content[:at[0]]) + string(first) + escaped(t, text) + string(last) + string(content[at[1]:])
				wantContained(t, spoilt, text)
			}
		}
	}
}

func wantContained(t *testing.T, file, text string) {
	t.Helper()
	for _, pair := range [][2]string{{file, ""}, {"<loginConfiguration/>", file}} {
		result, err := mobilefirst.Import([]byte(pair[0]), []byte(pair[1]), mobilefirst.Options{})
		if err != nil {
			if !errors.Is(err, mobilefirst.ErrFile) {
				t.Fatalf("%q: not refused for what it is: %v", text, err)
			}
			continue
		}
		for line := range strings.Lines(string(result.Caddyfile)) {
			code := strings.TrimSpace(line)
			if strings.HasPrefix(code, "#") {
				code = "" // but for placeholders, which Caddy replaces in comments, too
			}
			if word, _, _ := strings.Cut(code, " "); word == "respond" || word == "import" || strings.HasPrefix(word, ":") {
				t.Errorf("%q becomes the line %q", text, line)
			}
			for _, found := range placeholders.FindAllString(line, -1) {
				if found != ours[0] && !strings.HasPrefix(found, ours[1]) || strings.Contains(found, "SECRET") {
					t.Errorf("%q becomes the placeholder %s in %q", text, found, line)
				}
			}
			if strings.ContainsAny(line, "\x1b\r\u2028\u202e\u0085") {
				t.Errorf("%q gets into the line %q as it is", text, line)
			}
		}
		for _, f := range result.Findings {
			if strings.ContainsAny(f.String(), "\x1b\r\n\u2028\u202e\u0085{}") {
				t.Errorf("%q gets into the finding %q as it is", text, f)
			}
		}
	}
}

// Entities, documents from elsewhere and files that grow when they are read are refused; the largest files take no time.
func TestBombs(t *testing.T) {
	t.Parallel()
	var many, attributes, realms strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&attributes, ` a%d="x"`, i)
	}
	for range 60_000 {
		many.WriteString("<!---->word word")
	}
	for i := range 2500 {
		// Names of which each is another one here, and which all would be called the same in a Caddyfile.
		fmt.Fprintf(&realms, `<realm name="%s"><className>x</className></realm>`, escaped(t, strings.NewReplacer("0", "!", "1", "?").Replace(fmt.Sprintf("%014b", i))))
	}
	const doctype = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`
	for _, tt := range []struct{ name, file, says string }{
		{"entities", doctype + `<loginConfiguration>&b;</loginConfiguration>`, "document type"},
		{"an entity of nobody", `<loginConfiguration>&b;</loginConfiguration>`, "entity"},
		{"a document from elsewhere", `<!DOCTYPE x SYSTEM "file:///etc/passwd"><loginConfiguration/>`, "document type"},
		{"a style sheet", `<?xml-stylesheet href="x"?><loginConfiguration/>`, "processing instruction"},
		{"another encoding", `<?xml version="1.0" encoding="UTF-7"?><loginConfiguration/>`, "encoding"},
		{"deep", strings.Repeat("<a>", 100_000), "nested"},
		{"wide", "<loginConfiguration>" + strings.Repeat("<a/>", 100_000), "elements"},
		{"long", strings.Repeat(" ", mobilefirst.MaxSize+1), "bytes"},
		{"many attributes", "<loginConfiguration" + attributes.String() + "/>", "attributes"},
		{"text in many pieces", "<loginConfiguration><realms><realm name=\"a\"><className>" + many.String() + "</className></realm></realms></loginConfiguration>", ""},
		{"names that become one", "<loginConfiguration><realms>" + realms.String() + "</realms></loginConfiguration>", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := mobilefirst.Import([]byte(tt.file), nil, mobilefirst.Options{})
			if took := time.Since(began); took > time.Minute { // it is a matter of milliseconds, and was one of minutes
				t.Errorf("it takes %v", took)
			}
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case tt.says != "" && (!errors.Is(err, mobilefirst.ErrFile) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("the error is %v, want %q", err, tt.says)
			}
		})
	}
}
