;;; emacs_day.el --- What a person does in Emacs with eglot, in batch  -*- lexical-binding: t; -*-
;; emacs --batch -f package-activate-all -l init.el -l emacs_day.el FILE EXPRESSION
;; FILE is completed in and saved; EXPRESSION is the page's way to run a command. Prints what was seen as its last line, in JSON. The answers to Emacs's
;; questions come from standard input: in batch it asks there.

(require 'json)
(require 'eglot)

;; A busy machine is no failure.
(setq jsonrpc-default-request-timeout 90
      eglot-connect-timeout 90)

(defun day-until (look sentence)
  "Wait until LOOK returns something; SENTENCE says what for."
  (let ((deadline (+ (float-time) 90)) found)
    (while (not (setq found (funcall look)))
      (when (> (float-time) deadline)
        (error "Not in time: %s" sentence))
      (accept-process-output nil 0.05))
    found))

(defun day-text ()
  (buffer-substring-no-properties (point-min) (point-max)))

(let ((file (pop command-line-args-left))
      (expression (pop command-line-args-left))
      seen)
  (find-file file)
  ;; eglot-ensure waits for the end of a command, and in batch there are none
  (run-hooks 'post-command-hook)
  (day-until #'eglot-current-server "the server is attached")

  ;; a suggestion, behind text that is not ASCII
  (goto-char (point-max))
  (insert "naïve = '😀 é'; total = add(1, ")
  (let ((before (day-text)))
    (completion-at-point)
    (push (cons 'typed before) seen)
    (push (cons 'completed (day-text)) seen))
  ;; and one in the middle of a word
  (insert "\n\n\ndef multiply(first, second):\n    return fir")
  (let ((before (day-text)))
    (completion-at-point)
    (push (cons 'typedWord before) seen)
    (push (cons 'completedWord (day-text)) seen))
  (save-buffer)
  (push (cons 'saved (day-text)) seen)

  ;; a command
  (push (cons 'status (eval (read expression) t)) seen)

  ;; code actions: listed, and one chosen
  (goto-char (point-max))
  (insert "\n\n\ndef divide(first, second):\n")
  (forward-line -1)
  (end-of-line)
  (push (cons 'actions (vconcat (mapcar (lambda (action) (plist-get action :title)) (eglot-code-actions (point))))) seen)
  (let ((before (day-text))
        (last-nonmenu-event ?\r)) ; chosen by keyboard
    (call-interactively #'eglot-code-actions)
    (day-until (lambda () (not (equal before (day-text)))) "the action has changed the text")
    (push (cons 'before before) seen)
    (push (cons 'after (day-text)) seen))
  (save-buffer)

  (eglot-shutdown (eglot-current-server))
  ;; on a line of its own: Emacs's questions go there too
  (princ (concat "\n" (json-encode seen) "\n")))
