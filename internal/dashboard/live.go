package dashboard

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/spdopt/spdopt/internal/monitor"
)

// beat is the longest silence of a stream, so that a browser that has gone away is noticed.
const beat = 15 * time.Second

// live sends the changing part of the page of a run whenever it changes, until the caller goes away.
func (s *server) live(w http.ResponseWriter, r *http.Request) {
	dir, ok := s.find(w, r)
	if !ok {
		return
	}
	v, err := monitor.Read(dir)
	if err != nil {
		s.render(w, http.StatusInternalServerError, "missing.html", err.Error())
		return
	}
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // a stream outlives the deadline of ordinary answers; where none can be set there is none
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	changed, last := true, time.Now()
	for {
		switch {
		case changed:
			err = s.send(w, v)
			last = time.Now()
		case time.Since(last) > beat:
			_, err = fmt.Fprint(w, ": still here\n\n")
			last = time.Now()
		}
		if err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		if changed, err = v.Refresh(); err != nil {
			fmt.Fprintf(w, "event: trouble\ndata: %q\n\n", err.Error())
			return
		}
	}
}

// send writes one event: the rendered part, each of its lines a line of data.
func (s *server) send(w http.ResponseWriter, v *monitor.View) error {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, "live", s.detail(v)); err != nil {
		return err
	}
	text := bytes.TrimSpace(b.Bytes())
	text = append([]byte("data: "), bytes.ReplaceAll(text, []byte("\n"), []byte("\ndata: "))...)
	_, err := w.Write(append(text, "\n\n"...))
	return err
}
