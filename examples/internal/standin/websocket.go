package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/coder/websocket"
	"github.com/openai/openai-go/v3/option"
)

// WebSocket returns the options of a client that connects to the Responses API: none where
// the variable holds a key, else those of a stand-in, which close ends.
func WebSocket(variable string) (options []option.RequestOption, close func()) {
	if os.Getenv(variable) != "" {
		return nil, func() {}
	}
	api := server()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			_, event, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if err := conn.Write(r.Context(), websocket.MessageText, answer(r.Context(), api, event)); err != nil {
				return
			}
		}
	}))
	return []option.RequestOption{option.WithAPIKey("none"), option.WithBaseURL(srv.URL + "/v1/")}, srv.Close
}

// answer is the event that ends a turn. The turn is a call of the stand-in for the API.
func answer(ctx context.Context, api http.Handler, event []byte) []byte {
	var create map[string]any
	if err := json.Unmarshal(event, &create); err != nil || create["type"] != "response.create" {
		return []byte(`{"type":"error","status":400,"error":{"type":"invalid_request_error","message":"Not a response.create event."}}`)
	}
	delete(create, "type")
	body, err := json.Marshal(create)
	if err != nil {
		return fmt.Appendf(nil, `{"type":"error","status":500,"error":{"message":%q}}`, err)
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/responses", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		var failed struct {
			Error json.RawMessage `json:"error"`
		}
		_ = json.Unmarshal(w.Body.Bytes(), &failed)
		return fmt.Appendf(nil, `{"type":"error","status":%d,"error":%s}`, w.Code, failed.Error)
	}
	return fmt.Appendf(nil, `{"type":"response.completed","sequence_number":0,"response":%s}`, w.Body)
}
