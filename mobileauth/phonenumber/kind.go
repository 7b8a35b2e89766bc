// SPDX-License-Identifier: Apache-2.0

package phonenumber

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// Kind is what a number is for, as far as the plans tell.
type Kind string

// The kinds.
const (
	// Unassigned is a possible number that the plans do not know.
	Unassigned    Kind = "unassigned"
	Mobile        Kind = "mobile"
	FixedLine     Kind = "fixed_line"
	FixedOrMobile Kind = "fixed_line_or_mobile" // some countries, those of +1 among them, do not tell them apart
	TollFree      Kind = "toll_free"
	PremiumRate   Kind = "premium_rate"
	SharedCost    Kind = "shared_cost"
	VOIP          Kind = "voip"
	Personal      Kind = "personal_number" // routed to whatever its owner says
	Pager         Kind = "pager"
	UAN           Kind = "uan" // universal access numbers, of companies
	Voicemail     Kind = "voicemail"
)

// kinds are the library's names.
var kinds = map[phonenumbers.PhoneNumberType]Kind{
	phonenumbers.MOBILE: Mobile, phonenumbers.FIXED_LINE: FixedLine, phonenumbers.FIXED_LINE_OR_MOBILE: FixedOrMobile,
	phonenumbers.TOLL_FREE: TollFree, phonenumbers.PREMIUM_RATE: PremiumRate, phonenumbers.SHARED_COST: SharedCost,
	phonenumbers.VOIP: VOIP, phonenumbers.PERSONAL_NUMBER: Personal, phonenumbers.PAGER: Pager, phonenumbers.UAN: UAN,
	phonenumbers.VOICEMAIL: Voicemail,
}

// Kinds returns the names of all kinds, in a fixed order.
func Kinds() []Kind {
	return []Kind{
		Mobile, FixedLine, FixedOrMobile, TollFree, PremiumRate, SharedCost, VOIP, Personal, Pager, UAN, Voicemail, Unassigned,
	}
}

// kindOf looks a number up in the plans. One that is not valid has no type there.
func kindOf(parsed *phonenumbers.PhoneNumber) Kind {
	if kind, ok := kinds[phonenumbers.GetNumberType(parsed)]; ok {
		return kind
	}
	return Unassigned
}

// Errors of [Number.Texts].
var (
	// ErrKind is a number of a kind that is sent no messages.
	ErrKind = errors.New("numbers of this kind are sent no messages")
	// ErrCountry is a number of a country that is sent no messages.
	ErrCountry = errors.New("numbers of this country are sent no messages")
)

// Policy says which numbers are sent text messages. The zero value allows mobile numbers, and those of countries that do not tell
// mobile ones from others, everywhere. It refuses the kinds that cost whoever sends, that others earn from, or that reach nobody.
type Policy struct {
	// Also names further kinds, [Unassigned] among them.
	Also []Kind
	// Countries are the ISO 3166-1 codes that are allowed; where there are none, all are. Numbers whose country is not known belong to
	// none of them.
	Countries []string
}

// Texts reports whether the number may be sent a text message: nil, or an error that wraps [ErrKind] or [ErrCountry] and names the
// kind or the country, and not the number.
func (n Number) Texts(p Policy) error {
	switch {
	case n.kind != Mobile && n.kind != FixedOrMobile && !slices.Contains(p.Also, n.kind) || n.kind == "":
		return fmt.Errorf("judging a number of the kind %q: %w", n.kind, ErrKind)
	case len(p.Countries) > 0 && (n.country == "" || !slices.Contains(p.Countries, n.country)):
		return fmt.Errorf("judging a number of the country %q: %w", n.country, ErrCountry)
	}
	return nil
}
