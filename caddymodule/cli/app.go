// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

const appsPath = operator.Path + "applications"

func appCommand() *cobra.Command {
	return group("app", "Shows the operator's apps, and switches versions of them off and on",
		appList(), appShow(), appSet(), appUnset())
}

func appPath(app string, more ...string) string {
	parts := []string{appsPath, url.PathEscape(app)}
	for _, part := range more {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

func appList() *cobra.Command {
	return command("list", "Lists the apps", cobra.NoArgs, func(c *client, _ []string) error {
		var list []mobileauth.Listing
		if err := c.call(http.MethodGet, appsPath, nil, &list); err != nil {
			return err
		}
		return c.print(list, "APP\tPLATFORMS\tRULES\tOVERRIDES", func(add func(...any)) {
			for _, app := range list {
				platforms := slices.Sorted(maps.Keys(app.Platforms))
				add(app.ID, strings.Join(platforms, ","), len(app.Rules), overrides(app))
			}
		})
	})
}

// overrides counts the rules of an app that an operator has put there.
func overrides(app mobileauth.Listing) int {
	n := 0
	for _, rule := range app.Rules {
		if rule.Override {
			n++
		}
	}
	return n
}

func appShow() *cobra.Command {
	return command("show <app>", "Shows what becomes of the versions of an app", cobra.ExactArgs(1), func(c *client, args []string) error {
		var app mobileauth.Listing
		if err := c.call(http.MethodGet, appPath(args[0]), nil, &app); err != nil {
			return err
		}
		return c.print(app, "VERSION\tPLATFORM\tSTATUS\tBY\tSINCE\tMESSAGE", func(add func(...any)) {
			for _, rule := range app.Rules {
				by, since := "configuration", ""
				if rule.Override {
					by, since = "operator", rule.ChangedAt.Local().Format(time.DateTime)
				}
				add(rule.Pattern, cmp.Or(rule.Platform, "all"), rule.Status, by, since, message(&rule.Rule))
			}
			add("others", "all", app.Default, "", "", "")
		})
	})
}

// message returns the beginning of what a rule tells people.
func message(rule *mobileauth.Rule) string {
	locales := slices.Sorted(maps.Keys(rule.Messages))
	if len(locales) == 0 {
		return rule.URL
	}
	const most = 40
	text := []rune(rule.Messages[locales[0]])
	if len(text) > most {
		text = append(text[:most], '…')
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", strings.Join(locales, ","), string(text), rule.URL))
}

func appSet() *cobra.Command {
	var rule mobileauth.Rule
	var messages []string
	var dry bool
	cmd := command("set <app> <version> <status>",
		"Puts a rule over the configuration: active, notify, no_registration or disabled. It holds at once", cobra.ExactArgs(3),
		func(c *client, args []string) (err error) {
			rule.Pattern, rule.Status = args[1], mobileauth.Status(args[2])
			if rule.Messages, err = readMessages(messages); err != nil {
				return err
			}
			var answer operator.VersionsAnswer
			if err := c.call(http.MethodPost, dried(appPath(args[0], "versions"), dry), rule, &answer); err != nil {
				return err
			}
			if rule.Status == mobileauth.Disabled && len(rule.Messages) == 0 {
				c.cmd.PrintErrln(`its people are not told why: --message en="Please update"`)
			}
			return c.printEffects(answer)
		})
	flags := cmd.Flags()
	flags.StringVar(&rule.Platform, "platform", "", "the only platform it is about")
	flags.StringArrayVar(&messages, "message", nil, "what people are told, as language=text; may stand several times")
	flags.StringVar(&rule.MessageID, "message-id", "", "what tells messages apart, so that an app shows each once")
	flags.StringVar(&rule.URL, "url", "", "where the latest version is")
	flags.BoolVar(&dry, "dry-run", false, "say what it would come to, and change nothing")
	return cmd
}

// readMessages reads texts of the form language=text.
func readMessages(texts []string) (map[string]string, error) {
	messages := map[string]string{}
	for _, text := range texts {
		locale, words, ok := strings.Cut(text, "=")
		if _, twice := messages[locale]; !ok || twice {
			return nil, fmt.Errorf("--message %q is not language=text, once for each language", text)
		}
		messages[locale] = words
	}
	return messages, nil
}

func appUnset() *cobra.Command {
	var platform string
	var dry bool
	cmd := command("unset <app> <version>", "Takes such a rule away, so that the configuration holds again", cobra.ExactArgs(2),
		func(c *client, args []string) error {
			path := dried(appPath(args[0], "versions", args[1]), dry, "platform", platform)
			var answer operator.VersionsAnswer
			if err := c.call(http.MethodDelete, path, nil, &answer); err != nil {
				return err
			}
			return c.printEffects(answer)
		})
	cmd.Flags().StringVar(&platform, "platform", "", "the platform of the rule, if it has one")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what it would come to, and change nothing")
	return cmd
}

// dried adds a query to a path.
func dried(path string, dry bool, pairs ...string) string {
	query := url.Values{}
	if dry {
		query.Set("dry_run", "true")
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// printEffects says, by platform, what becomes of the versions, by which rule, and which of them are exceptions.
func (c *client) printEffects(answer operator.VersionsAnswer) error {
	err := c.print(answer, "PLATFORM\tSTATUS\tBY\tEXCEPT", func(add func(...any)) {
		for _, effect := range answer.Effects {
			var except []string
			for i := range effect.Exceptions {
				except = append(except, ruleName(&effect.Exceptions[i])+" "+string(effect.Exceptions[i].Status))
			}
			add(effect.Platform, effect.Status, ruleName(effect.Rule), strings.Join(except, ", "))
		}
	})
	if answer.DryRun && !c.json && err == nil {
		c.cmd.PrintErrln("nothing was changed")
	}
	return err
}

func ruleName(rule *mobileauth.Rule) string {
	switch {
	case rule == nil:
		return "no rule"
	case rule.Platform == "":
		return rule.Pattern
	}
	return rule.Pattern + " on " + rule.Platform
}
