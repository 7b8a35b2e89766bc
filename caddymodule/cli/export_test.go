// SPDX-License-Identifier: Apache-2.0

package cli

import "github.com/gatehouse-id/gatehouse/mobileauth"

// ExplainConfig says what the routes of a configuration require.
func ExplainConfig(data []byte) ([]Route, error) {
	_, routes, err := explainConfig(data)
	return routes, err
}

// Explain puts an error of the admin API in the server's own words.
func Explain(address string, err error) error { return explain(address, err) }

// ReadMessages reads texts by language.
func ReadMessages(texts []string) (map[string]string, error) { return readMessages(texts) }

// Message is the beginning of what a rule tells people.
func Message(rule *mobileauth.Rule) string { return message(rule) }

// AppPath is where the admin API has an app.
func AppPath(app string, more ...string) string { return appPath(app, more...) }

// Dried adds a query to a path.
func Dried(path string, dry bool, pairs ...string) string { return dried(path, dry, pairs...) }

// RuleName names a rule.
func RuleName(rule *mobileauth.Rule) string { return ruleName(rule) }
