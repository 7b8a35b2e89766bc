// SPDX-License-Identifier: Apache-2.0

package qrcode_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/png"
	"regexp"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/qrcode"
)

const text = "gatehouse://claim?v=1&issuer=https%3A%2F%2Fid.example.com&otp=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// modules are the dark ones, as the library has them.
func modules(t *testing.T) (dark map[image.Point]bool, size int) {
	t.Helper()
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	dark = map[image.Point]bool{}
	for y := range code.Size {
		for x := range code.Size {
			dark[image.Pt(x, y)] = code.Black(x, y)
		}
	}
	return dark, code.Size
}

func TestPNG(t *testing.T) {
	t.Parallel()
	data, err := qrcode.PNG(text)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	dark, size := modules(t)
	border := picture.Bounds().Dx()/8 - size
	if border != 8 {
		t.Fatalf("%d modules of border", border)
	}
	for at, want := range dark {
		r, _, _, _ := picture.At((at.X+4)*8+4, (at.Y+4)*8+4).RGBA()
		if (r == 0) != want {
			t.Fatalf("module %v is %x", at, r)
		}
	}
}

// TestSVG: each run of the path covers dark modules alone, and together they cover all, within the border.
func TestSVG(t *testing.T) {
	t.Parallel()
	data, err := qrcode.SVG(text)
	if err != nil {
		t.Fatal(err)
	}
	dark, size := modules(t)
	var picture struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		ViewBox string   `xml:"viewBox,attr"`
		Path    struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(data, &picture); err != nil || picture.ViewBox != fmt.Sprintf("0 0 %d %d", size+8, size+8) {
		t.Fatalf("%v, %q", err, picture.ViewBox)
	}
	covered := 0
	for _, run := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`).FindAllStringSubmatch(picture.Path.D, -1) {
		var x, y, n int
		if _, err := fmt.Sscan(run[1], &x); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(run[2], &y); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(run[3], &n); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if !dark[image.Pt(x+i-4, y-4)] {
				t.Fatalf("the module at %d %d is light", x+i, y)
			}
			covered++
		}
	}
	all := 0
	for _, is := range dark {
		if is {
			all++
		}
	}
	if covered != all {
		t.Errorf("%d of %d modules", covered, all)
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("secret ", 1000)
	_, err := qrcode.PNG(long)
	_, err2 := qrcode.SVG(long)
	if err == nil || err2 == nil || strings.Contains(fmt.Sprint(err, err2), "secret") {
		t.Errorf("%v, %v", err, err2)
	}
}
