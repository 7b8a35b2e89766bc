// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var variable = regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)

// colours reads the variables of theme.css: those of the light scheme, and those with the dark scheme on top.
func colours(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	css, err := os.ReadFile("static/css/theme.css")
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("theme.css has no dark scheme")
	}
	read := func(css string, into map[string]string) map[string]string {
		for _, match := range variable.FindAllStringSubmatch(css, -1) {
			into[match[1]] = match[2]
		}
		return into
	}
	light = read(before, map[string]string{})
	return light, read(after, maps.Clone(light))
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		if len(hex) != 7 {
			t.Fatalf("colour %q", hex)
		}
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatalf("colour %q: %v", hex, err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast computes WCAG 2.2, success criteria 1.4.3 (text, 4.5) and 1.4.11 (lines of controls and focus, 3).
func TestContrast(t *testing.T) {
	t.Parallel()
	light, dark := colours(t)
	pairs := []struct {
		front, back string
		want        float64
	}{
		{front: "ink", back: "card", want: 4.5},
		{front: "ink", back: "page", want: 4.5},
		{front: "muted", back: "card", want: 4.5},
		{front: "accent", back: "card", want: 4.5},
		{front: "accent", back: "tint", want: 4.5},
		{front: "accent-deep", back: "tint", want: 4.5},
		{front: "accent-deep", back: "card", want: 4.5},
		{front: "on-accent", back: "accent", want: 4.5},
		{front: "on-accent", back: "accent-deep", want: 4.5},
		{front: "danger", back: "card", want: 4.5},
		{front: "danger", back: "danger-tint", want: 4.5},
		{front: "success", back: "success-tint", want: 4.5},
		{front: "accent", back: "page", want: 3},
		{front: "control", back: "card", want: 3},
	}
	for scheme, values := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, p := range pairs {
			t.Run(fmt.Sprintf("%s %s on %s", scheme, p.front, p.back), func(t *testing.T) {
				t.Parallel()
				if got := contrast(t, values[p.front], values[p.back]); got < p.want {
					t.Errorf("contrast %.2f of %s on %s, want %.1f", got, values[p.front], values[p.back], p.want)
				}
			})
		}
	}
}

// TestContrastFormula checks the ruler with the values that WCAG itself gives.
func TestContrastFormula(t *testing.T) {
	t.Parallel()
	if got := contrast(t, "#ffffff", "#000000"); math.Abs(got-21) > 0.001 {
		t.Errorf("black on white: %f", got)
	}
	if got := contrast(t, "#777777", "#ffffff"); math.Abs(got-4.48) > 0.01 {
		t.Errorf("#777 on white: %f", got)
	}
}

// TestColoursAreVariables keeps every colour where a theme can reach it.
func TestColoursAreVariables(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("static/css/base.css")
	if err != nil {
		t.Fatal(err)
	}
	if match := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb|hsl`).FindString(string(css)); match != "" {
		t.Errorf("base.css holds the colour %q", match)
	}
	theme, err := os.ReadFile("static/css/theme.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`var\((--[a-z-]+)\)`).FindAllStringSubmatch(string(css), -1) {
		if !strings.Contains(string(theme), match[1]+":") {
			t.Errorf("theme.css does not set %s", match[1])
		}
	}
}
