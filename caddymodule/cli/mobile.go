// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
)

const mobilePath = operator.Path + "mobile/"

func mobileCommand() *cobra.Command {
	return group("mobile", "Shows how asking phones goes, and tries push services and gateways",
		mobileStatus(),
		group("test", "Sends one notification or message, and says what came of it", testPush(), testSMS()))
}

func testPush() *cobra.Command {
	var request operator.PushTestRequest
	cmd := command("push", "Notifies a phone of a question that there is not", cobra.NoArgs, func(c *client, _ []string) error {
		var t phones.PushTrial
		if err := c.call(http.MethodPost, mobilePath+"test/push", request, &t); err != nil {
			return err
		}
		err := c.print(t, "", func(add func(...any)) {
			add("device", t.Device)
			add("application", strings.TrimSpace(t.Application+" "+t.Version)+" on "+t.Platform)
			add("service", named(t.Service, t.Kind))
			add("app", t.App)
			add("environment", t.Environment)
			if t.Operation != "" {
				add("operation", t.Operation)
			}
			result(&t.Trial, add)
		})
		return outcome(&t.Trial, err)
	})
	cmd.Flags().StringVar(&request.Device, "device", "", "the id of the phone")
	return tries(cmd, "device", &request.DryRun)
}

func testSMS() *cobra.Command {
	var request phones.SMSTest
	cmd := command("sms", "Sends a message to a number, which costs what messages cost", cobra.NoArgs, func(c *client, _ []string) error {
		var t phones.SMSTrial
		if err := c.call(http.MethodPost, mobilePath+"test/sms", request, &t); err != nil {
			return err
		}
		err := c.print(t, "", func(add func(...any)) {
			add("to", strings.TrimSpace(t.To+" "+t.Country)+", "+t.NumberKind)
			add("gateway", named(t.Gateway, t.Kind))
			add("text", strconv.Quote(t.Text))
			add("paid as", fmt.Sprintf("%d in %s", t.Segments, t.Encoding))
			add("limits an hour", fmt.Sprintf("number %d, prefix %d, user %d, country %d, all %d",
				t.Limits.Number, t.Limits.Prefix, t.Limits.User, t.Limits.Country, t.Limits.All))
			if t.MessageID != "" {
				add("message", t.MessageID)
			}
			result(&t.Trial, add)
		})
		return outcome(&t.Trial, err)
	})
	flags := cmd.Flags()
	flags.StringVar(&request.To, "to", "", "the number, in international form: +31612345678")
	flags.StringVar(&request.Gateway, "gateway", "", "the gateway; the first, unless it is named")
	flags.StringVar(&request.Type, "type", "", "send the message of this type, with 000000 as its code")
	flags.StringVar(&request.Language, "language", "", "in this language, where the type has it")
	return tries(cmd, "to", &request.DryRun)
}

// tries gives a command its option --dry-run, and requires another.
func tries(cmd *cobra.Command, required string, dry *bool) *cobra.Command {
	cmd.Flags().BoolVar(dry, "dry-run", false, "say what would be done, and send nothing")
	_ = cmd.MarkFlagRequired(required) // each caller has just defined it
	return cmd
}

func named(name, kind string) string {
	if kind == "" || kind == name {
		return name
	}
	return name + " (" + kind + ")"
}

func mobileStatus() *cobra.Command {
	return command("status", "Shows push services, gateways, types and what messages were of use", cobra.NoArgs, func(c *client, _ []string) error {
		var s phones.ChannelStatus
		if err := c.call(http.MethodGet, mobilePath+"status", nil, &s); err != nil {
			return err
		}
		if c.json {
			return c.print(s, "", nil)
		}
		for _, part := range []func(*phones.ChannelStatus) error{c.carriers, c.open, c.types, c.conversions} {
			if err := part(&s); err != nil {
				return err
			}
		}
		for _, text := range s.Warnings {
			c.line("warning: " + text)
		}
		return nil
	})
}

func (c *client) carriers(s *phones.ChannelStatus) error {
	return c.print(nil, "CHANNEL\tSERVICE\tTRIES\tREPORTS\tMEAN\tP95", func(add func(...any)) {
		for _, of := range s.Carriers {
			add(of.Channel, named(of.Name, of.Kind), counts(of.Tries), counts(of.Reports), span(of.MeanMilliseconds), span(of.MostMilliseconds))
		}
	})
}

func (c *client) open(s *phones.ChannelStatus) error {
	c.line("")
	return c.print(nil, "CHANNEL\tOPEN", func(add func(...any)) {
		for _, channel := range slices.Sorted(maps.Keys(s.Open)) {
			count := strconv.Itoa(s.Open[channel])
			if s.MoreOpen {
				count += " or more"
			}
			add(channel, count)
		}
	})
}

func (c *client) types(s *phones.ChannelStatus) error {
	if len(s.Types) == 0 {
		return nil
	}
	c.line("")
	return c.print(nil, "TYPE\tMETHOD\tLASTS\tCHAIN", func(add func(...any)) {
		for _, t := range s.Types {
			chain := strings.Join(t.Chain, " > ")
			if t.After > 0 {
				chain += fmt.Sprintf(" (after %ds)", t.After)
			}
			add(t.Name, t.Method, time.Duration(t.TimeToLive)*time.Second, chain)
		}
	})
}

func (c *client) conversions(s *phones.ChannelStatus) error {
	if len(s.Conversions) == 0 {
		return nil
	}
	c.line("")
	return c.print(nil, "COUNTRY\tSENT\tTYPED IN", func(add func(...any)) {
		for _, of := range s.Conversions {
			add(of.Country, of.Sent, of.Typed)
		}
	})
}

func (c *client) line(text string) {
	_, _ = fmt.Fprintln(c.cmd.OutOrStdout(), text) // what stands before it in the table tells of a broken pipe
}

// counts writes what was counted in a fixed order.
func counts(of map[string]uint64) string {
	texts := make([]string, 0, len(of))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		texts = append(texts, fmt.Sprintf("%s %d", name, of[name]))
	}
	if len(texts) == 0 {
		return "-"
	}
	return strings.Join(texts, ", ")
}

func span(milliseconds int64) string {
	if milliseconds == 0 {
		return "-"
	}
	return (time.Duration(milliseconds) * time.Millisecond).String()
}

// result adds what came of a trial.
func result(t *phones.Trial, add func(...any)) {
	switch {
	case t.Sent:
		add("result", fmt.Sprintf("accepted in %d ms; whether it arrives is seen on the phone", t.Milliseconds))
	case t.Failure == nil:
		add("result", "nothing was sent: a dry run")
	default:
		add("result", "not sent: "+failure(t.Failure))
		add("what to do", t.Failure.Advice)
	}
}

func failure(f *phones.Trouble) string {
	text := f.Class
	if f.Reason != "" {
		text += ": " + f.Reason
	}
	if f.Status != 0 {
		text += fmt.Sprintf(" (status %d)", f.Status)
	}
	if f.RetryAfter > 0 {
		text += fmt.Sprintf(", wait %d s", f.RetryAfter)
	}
	return text
}

// outcome has a command end with an error when what it tried was not accepted.
func outcome(t *phones.Trial, err error) error {
	if err == nil && t.Failure != nil {
		return fmt.Errorf("not sent: %s", failure(t.Failure))
	}
	return err
}
