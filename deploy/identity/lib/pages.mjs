/** @typedef {import('koa').Context} Context */

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

class Html {
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

/** Template whose values are escaped, save those made by this very function; nothing and false give nothing. */
export function html(strings, ...values) {
  const parts = values.map((value) => {
    if (Array.isArray(value)) return value.join('');
    if (value instanceof Html) return value.text;
    return value === undefined || value === false ? '' : String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]);
  });
  return new Html(String.raw({ raw: strings }, ...parts));
}

/**
 * Answers with a page.
 * @param {Context} ctx
 * @param {{ title: string, main: Html, status?: number, formTargets?: string[] }} page
 *   `formTargets`: URLs to whose origins the form's answer may redirect; browsers apply form-action to redirects too
 */
export function show(ctx, { title, main, status = 200, formTargets = [] }) {
  const targets = ["'self'", ...formTargets.map((url) => new URL(url).origin)].join(' ');
  ctx.status = status;
  ctx.type = 'html';
  ctx.set('Cache-Control', 'no-store');
  ctx.set(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'self'; img-src 'self'; form-action ${targets}; base-uri 'none'; frame-ancestors 'none'`,
  );
  ctx.state.ownPage = true;
  ctx.body = html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title} – local identity provider</title>
  <link rel="icon" href="/public/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/public/style.css">
</head>
<body>
  <header>
    <p><strong>For demonstrations only.</strong> This provider’s users and passwords are public. Never expose it to a network.</p>
  </header>
  <main>
    <h1>${title}</h1>
    ${main}
  </main>
</body>
</html>
`.toString();
}

/**
 * @param {Context} ctx
 * @param {object} state
 * @param {string} state.client its name
 * @param {string} state.redirectUri
 * @param {string} [state.organization] its display name
 * @param {string} [state.username] to fill in
 * @param {boolean} [state.signup] whether the application asked for the sign-up form
 * @param {string} [state.problem]
 * @param {number} [state.status]
 */
export function signInPage(ctx, { client, redirectUri, organization, username, signup, problem, status }) {
  show(ctx, {
    title: 'Sign in',
    status,
    formTargets: [redirectUri],
    main: html`
    <p>to continue to <strong>${client}</strong>${organization && html` as a member of <strong>${organization}</strong>`}</p>
    ${signup && html`<p class="note">Accounts cannot be made here: sign in as one of the users that came with the provider.</p>`}
    ${problem && html`<p class="problem" id="problem" role="alert">${problem}</p>`}
    <form method="post">
      <label for="username">User name</label>
      <input id="username" name="username" type="text" autocomplete="username" autocapitalize="none" spellcheck="false"
        required maxlength="254" value="${username}" ${!username && html`autofocus`}
        ${problem && html`aria-describedby="problem" aria-invalid="true"`}>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required maxlength="254"
        ${username && html`autofocus`} ${problem && html`aria-describedby="problem" aria-invalid="true"`}>
      <div class="actions">
        <button type="submit" name="action" value="continue">Sign in</button>
        <button type="submit" name="action" value="cancel" class="secondary" formnovalidate>Cancel</button>
      </div>
    </form>`,
  });
}

/**
 * @param {Context} ctx
 * @param {{ client: string, redirectUri: string, user: string, permissions: string[] }} state
 */
export function consentPage(ctx, { client, redirectUri, user, permissions }) {
  show(ctx, {
    title: 'Allow access',
    formTargets: [redirectUri],
    main: html`
    <p><strong>${client}</strong> would like to use the account of <strong>${user}</strong> for:</p>
    <ul>${permissions.map((permission) => html`<li>${permission}</li>`)}</ul>
    <form method="post">
      <div class="actions">
        <button type="submit" name="action" value="continue">Allow</button>
        <button type="submit" name="action" value="cancel" class="secondary">Cancel</button>
      </div>
    </form>`,
  });
}

/** @param {Context} ctx @param {string} error @param {string} [description] */
export function errorPage(ctx, error, description) {
  show(ctx, {
    title: 'This does not work',
    status: ctx.status >= 400 ? ctx.status : 400,
    main: html`<p>${description || 'Something went wrong.'}</p>
    <p class="detail">Error: <code>${error}</code></p>
    <p>Go back to the application and start again.</p>`,
  });
}

/** The library's page before signing out by /oidc/logout. @param {Context} ctx @param {string} form its hidden form `op.logoutForm` */
export function signOutPage(ctx, form) {
  const target = ctx.oidc.params.post_logout_redirect_uri;
  show(ctx, {
    title: 'Sign out',
    formTargets: target ? [target] : [],
    main: html`<p>Do you want to sign out of the local identity provider?</p>
    ${new Html(form)}
    <div class="actions">
      <button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
      <button type="submit" form="op.logoutForm" class="secondary">Stay signed in</button>
    </div>`,
  });
}

/** @param {Context} ctx */
export function signedOutPage(ctx) {
  show(ctx, { title: 'Signed out', main: html`<p>You are signed out of the local identity provider.</p>` });
}

/**
 * Puts the pages that the library writes by itself (forms that a script would submit) into the layout, as a form with a button.
 * @type {import('koa').Middleware}
 */
export async function frameForeignPages(ctx, next) {
  await next();
  const redirects = ctx.status >= 300 && ctx.status < 400;
  if (!ctx.response.is('html') || ctx.state.ownPage || redirects) return;
  const [, action] = /<form method="post" action="([^"]*)">/.exec(ctx.body) ?? [];
  if (!action) throw new Error('The library answered with a page that has no place in the layout.');
  const inputs = ctx.body.match(/<input type="hidden"[^>]*>/g) ?? [];
  // /oidc/logout sends its form to itself and then on to the application.
  const afterwards = ctx.oidc?.params?.post_logout_redirect_uri;
  show(ctx, {
    title: 'Continue',
    status: ctx.status,
    formTargets: [action.replaceAll('&amp;', '&'), afterwards].filter(Boolean),
    main: html`<p>One more step.</p>
    <form method="post" action="${new Html(action)}">
      ${new Html(inputs.join(''))}
      <div class="actions"><button type="submit">Continue</button></div>
    </form>`,
  });
}

/** @param {Context} ctx @param {string} name a picture with the initials of this name */
export function showPicture(ctx, name) {
  const words = name.split(/\s+/u);
  const initials = [words[0], words.at(-1)].map((word) => [...word][0].toUpperCase());
  const hue = [...name].reduce((sum, character) => (sum * 31 + character.codePointAt(0)) % 360, 7);
  ctx.type = 'image/svg+xml';
  ctx.set('Cache-Control', 'public, max-age=3600');
  // The app shows it on its own origin.
  ctx.set('Cross-Origin-Resource-Policy', 'cross-origin');
  ctx.set('Content-Security-Policy', "default-src 'none'; sandbox");
  ctx.body = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="96" height="96">
  <rect width="96" height="96" fill="hsl(${hue} 45% 38%)"/>
  <text x="48" y="50" fill="#fff" font-family="system-ui, sans-serif" font-size="38" text-anchor="middle" dominant-baseline="central">${words.length > 1 ? initials.join('') : initials[0]}</text>
</svg>
`.toString();
}
