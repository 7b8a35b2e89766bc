// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/internal/audit"
)

const auditPath = operator.Path + "audit"

// auditCommand lists events without a subcommand as well: it is what it is called for most.
func auditCommand() *cobra.Command {
	list := auditList("audit", "Lists audit events, exports them, and verifies that they are as they were written")
	list.AddCommand(auditList("list", "Lists audit events"), auditExport(), auditVerify())
	return list
}

// choice is which events are meant.
type choice struct {
	since, until time.Duration
	values       map[string]*string
}

func addChoice(cmd *cobra.Command, usual time.Duration) *choice {
	ch := &choice{values: map[string]*string{}}
	flags := cmd.Flags()
	flags.DurationVar(&ch.since, "since", usual, "how far back")
	flags.DurationVar(&ch.until, "until", 0, "how far back it ends")
	for _, f := range [...]struct{ name, usage string }{
		{"name", `only events of this name, or with its beginning: "operation.*"`}, {"outcome", "only events with this outcome"},
		{"user", "only those about this user, by login name or id"}, {"device", "only those about this device"},
		{"operation", "only those about this operation"}, {"client", "only those of this client"},
		{"by", `only what was done by this: "operator", "client:portal", "user:usr_…"`}, {"object", `only what was done to this: "application:bank"`},
	} {
		ch.values[f.name] = flags.String(f.name, "", f.usage)
	}
	return ch
}

func (ch *choice) query() url.Values {
	query := url.Values{}
	now := time.Now()
	if ch.since > 0 {
		query.Set("since", now.Add(-ch.since).UTC().Format(time.RFC3339Nano))
	}
	if ch.until > 0 {
		query.Set("until", now.Add(-ch.until).UTC().Format(time.RFC3339Nano))
	}
	for name, value := range ch.values {
		if *value != "" {
			query.Set(name, *value)
		}
	}
	return query
}

func auditList(use, short string) *cobra.Command {
	var ch *choice
	var most int
	var after string
	cmd := command(use, short, cobra.NoArgs, func(c *client, _ []string) error {
		events, next, err := c.events(ch.query(), after, most)
		if err != nil {
			return err
		}
		err = c.print(events, "TIME\tEVENT\tOUTCOME\tREALM\tREASON\tUSER\tCLIENT\tADDRESS\tBY\tDEVICE\tOPERATION", func(add func(...any)) {
			for i := range events {
				e := &events[i]
				add(e.Time.Local().Format(time.DateTime), e.Name, e.Outcome, e.Realm, e.Reason, e.Subject, e.ClientID, e.ClientIP, e.By,
					e.DeviceID, e.Operation)
			}
		})
		if next != "" && err == nil {
			c.hintMore(next)
		}
		return err
	})
	ch = addChoice(cmd, 24*time.Hour)
	cmd.Flags().IntVar(&most, "limit", operator.MaxList, "how many at most")
	cmd.Flags().StringVar(&after, "after", "", "begin after this id")
	return cmd
}

// events reads pages until there are enough. next is where more may follow.
func (c *client) events(query url.Values, after string, most int) (events []audit.Event, next string, err error) {
	events, next = []audit.Event{}, after
	for most > len(events) {
		query.Set("after", next)
		query.Set("limit", strconv.Itoa(min(most-len(events), operator.MaxList)))
		var page audit.Page
		if err := c.call(http.MethodGet, auditPath+"?"+query.Encode(), nil, &page); err != nil {
			return nil, "", err
		}
		events = append(events, page.Events...)
		if next = page.Next; next == "" {
			break
		}
	}
	return events, next, nil
}

func auditExport() *cobra.Command {
	var ch *choice
	cmd := command("export", "Prints every audit event, or those chosen, as lines of JSON (NDJSON)", cobra.NoArgs,
		func(c *client, _ []string) error {
			response, err := c.send(http.MethodGet, auditPath+"/export?"+ch.query().Encode(), "application/json", nil)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }() // it has been read
			if _, err := io.Copy(c.cmd.OutOrStdout(), response.Body); err != nil {
				return fmt.Errorf("the export broke off, what was printed is not all: %w", err)
			}
			return nil
		})
	ch = addChoice(cmd, 0)
	return cmd
}

func auditVerify() *cobra.Command {
	var heads []string
	cmd := command("verify", "Verifies that no audit event was altered, removed or added, and prints the head of the chain", cobra.NoArgs,
		func(c *client, _ []string) error {
			var report audit.Report
			query := url.Values{"head": heads}
			if err := c.call(http.MethodGet, auditPath+"/verify?"+query.Encode(), nil, &report); err != nil {
				return err
			}
			if err := c.printReport(&report); err != nil {
				return err
			}
			if !report.OK() {
				return fmt.Errorf("the audit trail is not as it was written: %d findings", report.Found)
			}
			return nil
		})
	cmd.Flags().StringArrayVar(&heads, "head", nil, "a head that was noted earlier and must be in the chain; may stand several times")
	return cmd
}

func (c *client) printReport(report *audit.Report) error {
	return c.print(report, "", func(add func(...any)) {
		add("events", report.Events)
		add("not sealed yet", report.Unsealed)
		add("expired", report.Expired)
		add("seals", report.Seals)
		if report.Head.Sequence > 0 {
			add("head", report.Head)
		}
		for _, f := range report.Findings {
			add("FOUND", f.What, f.Event, sealNumber(f.Seal))
		}
		if more := report.Found - len(report.Findings); more > 0 {
			add("FOUND", fmt.Sprintf("and %d more", more))
		}
	})
}

func sealNumber(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("seal %d", n)
}
